//! Who is what to a room for good, present or not.

use std::collections::BTreeMap;

use super::Affiliation;
use crate::BareJid;

/// The affiliations other than none, by user or whole domain.
#[derive(Clone, Debug, Default)]
pub(super) struct Affiliations {
    known: BTreeMap<BareJid, Affiliation>,
    /// Those on no list that presence showed: the server's configuration makes its admins owners. They stay when such
    /// a user goes, until somebody says otherwise.
    shown: BTreeMap<BareJid, Affiliation>,
    /// While the lists are read anew: what they and whatever happens meanwhile say, the latest last.
    fresh: Option<BTreeMap<BareJid, Affiliation>>,
}

impl Affiliations {
    /// A user's affiliation. A domain can be banned as a whole; any other affiliation of a domain is of the entity at
    /// that address only, as Prosody has it.
    pub(super) fn of(&self, jid: &BareJid) -> Affiliation {
        look_up(&self.known, jid)
    }

    /// A user's affiliation, whatever his domain's is.
    pub(super) fn own(&self, jid: &BareJid) -> Affiliation {
        self.known.get(jid).copied().unwrap_or(Affiliation::None)
    }

    pub(super) fn len(&self) -> usize {
        self.known.len().max(self.fresh.as_ref().map_or(0, BTreeMap::len))
    }

    /// Sets one and returns what it was, where it changed.
    pub(super) fn set(&mut self, jid: &BareJid, affiliation: Affiliation) -> Option<Affiliation> {
        let before = self.of(jid);
        if let Some(fresh) = &mut self.fresh {
            fresh.insert(jid.clone(), affiliation);
        }
        if before == affiliation {
            return None;
        }
        self.shown.remove(jid);
        if affiliation == Affiliation::None {
            self.known.remove(jid);
        } else {
            self.known.insert(jid.clone(), affiliation);
        }
        Some(before)
    }

    /// Begins to read the lists anew.
    pub(super) fn begin(&mut self) {
        self.fresh = Some(BTreeMap::new());
    }

    /// Takes an entry of a list.
    pub(super) fn list(&mut self, jid: BareJid, affiliation: Affiliation) {
        if let Some(fresh) = &mut self.fresh {
            fresh.insert(jid, affiliation);
        }
    }

    /// Takes what an occupant's presence shows, where the lists do not say it.
    pub(super) fn show(&mut self, jid: BareJid, affiliation: Affiliation) {
        let Some(fresh) = self.fresh.as_mut().filter(|fresh| look_up(fresh, &jid) != affiliation) else { return };
        fresh.insert(jid.clone(), affiliation);
        if affiliation > Affiliation::None {
            self.shown.insert(jid, affiliation);
        }
    }

    /// Ends reading, and returns what changed: user, before, now.
    pub(super) fn finish(&mut self) -> Vec<(BareJid, Affiliation, Affiliation)> {
        let Some(mut fresh) = self.fresh.take() else { return Vec::new() };
        self.shown.retain(|jid, affiliation| fresh.get(jid).is_none_or(|now| now == affiliation));
        for (jid, affiliation) in &self.shown {
            fresh.entry(jid.clone()).or_insert(*affiliation);
        }
        fresh.retain(|_, affiliation| *affiliation != Affiliation::None);
        let before = std::mem::replace(&mut self.known, fresh);
        let gone = before.keys().filter(|jid| !self.known.contains_key(jid));
        let named = self.known.keys().chain(gone);
        let changes = named.map(|jid| (jid.clone(), look_up(&before, jid), self.of(jid)));
        changes.filter(|(_, from, to)| from != to).collect()
    }
}

fn look_up(map: &BTreeMap<BareJid, Affiliation>, jid: &BareJid) -> Affiliation {
    let banned_domain = || map.get(&jid.to_domain()).filter(|affiliation| **affiliation == Affiliation::Outcast);
    map.get(jid).or_else(banned_domain).copied().unwrap_or(Affiliation::None)
}
