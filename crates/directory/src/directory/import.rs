//! Many accounts at once: all of them, or none.

use std::collections::BTreeMap;

use sqlx::SqliteConnection;

use super::{Directory, derive, rows};
use crate::account::{Account, NewAccount, Profile};
use crate::error::DirectoryError;
use crate::key::Key;

/// Says why accounts were not added. None was.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Some of them cannot be added; each with its place in the list, ascending.
    #[error("{} of the accounts cannot be added", .0.len())]
    Refused(Vec<(usize, DirectoryError)>),
    /// The file fails, or cannot be written.
    #[error(transparent)]
    Failed(#[from] DirectoryError),
}

impl Directory {
    /// Looks whether accounts could be added, and changes nothing.
    ///
    /// # Errors
    /// [`ImportError::Refused`] with everything that is wrong, or the file fails or cannot be written.
    pub async fn try_import(&self, accounts: &[NewAccount]) -> Result<(), ImportError> {
        self.database.check_writable()?;
        let (mut profiles, mut refused) = (Vec::new(), Vec::new());
        for (place, account) in accounts.iter().enumerate() {
            match account.profile() {
                Ok(profile) => profiles.push((place, profile)),
                Err(error) => refused.push((place, error)),
            }
        }
        let mut writer = self.writer.lock().await;
        let mut transaction = self.begin(&mut writer).await?;
        let (_, taken) = self.insert_each(&mut transaction, &profiles).await?;
        transaction.rollback().await.map_err(|e| self.failed(e))?;
        refused.extend(taken);
        refused.sort_by_key(|(place, _)| *place);
        if refused.is_empty() { Ok(()) } else { Err(ImportError::Refused(refused)) }
    }

    /// Adds accounts in one transaction; the snapshot shows them after the next refresh.
    ///
    /// # Errors
    /// As [`Directory::try_import`]; then none of them was added.
    pub async fn import(&self, accounts: Vec<NewAccount>) -> Result<Vec<Account>, ImportError> {
        // Before their keys are derived, which takes its time.
        self.try_import(&accounts).await?;
        let mut profiles = Vec::with_capacity(accounts.len());
        let mut credentials = Vec::with_capacity(accounts.len());
        for (place, account) in accounts.into_iter().enumerate() {
            let profile = account.profile()?;
            credentials.push(derive(profile.sip_user.clone(), profile.sip_domain.clone(), account.password).await?);
            profiles.push((place, profile));
        }
        let mut writer = self.writer.lock().await;
        let mut transaction = self.begin(&mut writer).await?;
        let (ids, taken) = self.insert_each(&mut transaction, &profiles).await?;
        if !taken.is_empty() {
            // Somebody else made such accounts meanwhile.
            transaction.rollback().await.map_err(|e| self.failed(e))?;
            return Err(ImportError::Refused(taken));
        }
        let mut added = Vec::with_capacity(ids.len());
        for (id, credential) in ids.into_iter().zip(&credentials) {
            rows::store_credential(&mut transaction, id, credential).await.map_err(|e| self.failed(e))?;
            added.push(self.one(&mut transaction, &Key::Id(id)).await?);
        }
        transaction.commit().await.map_err(|e| self.failed(e))?;
        Ok(added)
    }

    /// Writes accounts without their keys: the ids of those that were written, and what is wrong with the others.
    async fn insert_each(
        &self,
        connection: &mut SqliteConnection,
        profiles: &[(usize, Profile)],
    ) -> Result<(Vec<i64>, Vec<(usize, DirectoryError)>), DirectoryError> {
        let mut written = BTreeMap::new();
        let mut refused = Vec::new();
        for (place, profile) in profiles {
            match rows::owner(connection, profile).await.map_err(|e| self.failed(e))? {
                None => {
                    written.insert(rows::insert(connection, profile).await.map_err(|e| self.failed(e))?, *place);
                }
                Some((value, account)) => refused.push(match written.get(&account) {
                    Some(first) => (*place, DirectoryError::Repeated { value, first: *first }),
                    None => (*place, DirectoryError::Taken { value, account }),
                }),
            }
        }
        Ok((written.into_keys().collect(), refused))
    }
}
