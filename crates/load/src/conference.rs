//! Phones in one conference, and the matrix of who hears whom.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use cusax_net::clock;
use cusax_sip::ua::Login;

use crate::phone::{Call, PRESENT_DBFS, Phone, PhoneConfig, PhoneError, Tone, within};

/// What to try.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The conference, such as `sip:standup@conference.example.com`.
    pub to: String,
    /// Where the phones send their calls.
    pub proxy: SocketAddr,
    /// The address that they are on.
    pub bind: IpAddr,
    /// Domain of the phones' addresses.
    pub domain: String,
    /// Names and passwords; phones beyond these take them again from the first. None: `phone1`, ... without a password.
    pub accounts: Vec<Login>,
    /// How many phones.
    pub phones: usize,
    /// How long they stay once all are in.
    pub duration: Duration,
}

/// Who heard whom at the end.
#[derive(Clone, Debug)]
pub struct Matrix {
    /// The phones' names and the frequencies of their tones.
    pub phones: Vec<(String, f64)>,
    /// For each listener, the level of each phone's tone in dBFS.
    pub levels: Vec<Vec<f64>>,
    /// From the INVITE to its 2xx, for each phone.
    pub setup: Vec<Duration>,
}

impl Matrix {
    /// True where everybody hears all the others, and nobody himself.
    #[must_use]
    pub fn is_right(&self) -> bool {
        let rows = self.levels.iter().enumerate();
        rows.flat_map(|(listener, row)| row.iter().enumerate().map(move |(talker, level)| (listener, talker, *level)))
            .all(|(listener, talker, level)| (level > PRESENT_DBFS) == (listener != talker))
    }
}

impl fmt::Display for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>24}", "dBFS, hears:")?;
        self.phones.iter().try_for_each(|(name, _)| write!(f, " {name:>8.8}"))?;
        for (listener, ((name, hertz), row)) in self.phones.iter().zip(&self.levels).enumerate() {
            write!(f, "\n{name:>14.14} ({hertz:>4} Hz)")?;
            for (talker, level) in row.iter().enumerate() {
                let wrong = if (*level > PRESENT_DBFS) == (listener != talker) { ' ' } else { '!' };
                if *level < FLOOR { write!(f, " {:>7}{wrong}", "-")? } else { write!(f, " {level:>7.1}{wrong}")? }
            }
        }
        Ok(())
    }
}

/// Joins the phones one after another, lets them talk, measures, and hangs up.
///
/// # Errors
/// The first thing that went wrong: a call that was refused, or not answered within ten seconds.
pub async fn run(plan: &Plan) -> Result<Matrix, PhoneError> {
    let mut joined: Vec<(Phone, Call)> = Vec::with_capacity(plan.phones);
    let mut setup = Vec::with_capacity(plan.phones);
    for number in 0..plan.phones {
        let phone = Phone::start(phone_config(plan, number))?;
        let begun = clock::now();
        let call = phone.call(&plan.to, &[])?;
        let answer = call.answered(within(ANSWER)).await?;
        setup.push(answer.at.duration_since(begun));
        joined.push((phone, call));
    }
    let until: Instant = within(plan.duration);
    tokio::time::sleep_until(until.into()).await;
    let phones: Vec<_> =
        joined.iter().map(|(phone, _)| (phone.config().user.clone(), phone.config().tone.hertz)).collect();
    let row = |(_, call): &(Phone, Call)| phones.iter().map(|(_, hertz)| call.level(*hertz, WINDOW)).collect();
    let levels = joined.iter().map(row).collect();
    for (_, call) in &joined {
        call.hang_up(&[]);
    }
    for (_, call) in &joined {
        call.ended(within(ANSWER)).await?;
    }
    // The BYEs are on the wire; what answers them, or a lost one repeats, has a moment.
    tokio::time::sleep(LINGER).await;
    Ok(Matrix { phones, levels, setup })
}

fn phone_config(plan: &Plan, number: usize) -> PhoneConfig {
    let login = number.checked_rem(plan.accounts.len()).and_then(|at| plan.accounts.get(at)).cloned();
    let user = login.as_ref().map_or_else(|| format!("phone{}", number + 1), |login| login.username.clone());
    let hertz = LOWEST + SPACING * f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    let crowd = f64::from(u32::try_from(plan.phones.max(1)).unwrap_or(u32::MAX));
    // All tones together stay below full scale.
    let dbfs = (-6.0 - 20.0 * crowd.log10()).min(-15.0);
    let mut config = PhoneConfig::new(&user, &plan.domain, "", plan.proxy, hertz);
    config.login = login;
    config.bind = plan.bind;
    config.tone = Tone { hertz, dbfs };
    config
}

/// Most phones: their tones are between 400 and 3,350 Hz, 50 Hz apart.
pub const MAX_PHONES: usize = 60;
const LOWEST: f64 = 400.0;
const SPACING: f64 = 50.0;
const ANSWER: Duration = Duration::from_secs(10);
const LINGER: Duration = Duration::from_millis(300);
/// What is measured at the end.
const WINDOW: Duration = Duration::from_millis(400);
/// Levels below this are printed as none.
const FLOOR: f64 = -90.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(levels: [[f64; 2]; 2]) -> Matrix {
        let phones = vec![("alice".to_owned(), 400.0), ("bob".to_owned(), 450.0)];
        Matrix { phones, levels: levels.map(Vec::from).into(), setup: Vec::new() }
    }

    #[test]
    fn is_right_where_all_hear_the_others_and_nobody_himself() {
        assert!(matrix([[f64::NEG_INFINITY, -20.0], [-21.0, -80.0]]).is_right());
        assert!(!matrix([[-20.0, -20.0], [-21.0, -80.0]]).is_right());
        assert!(!matrix([[-90.0, -60.0], [-21.0, -80.0]]).is_right());
    }

    #[test]
    fn prints_levels_and_marks_what_is_wrong() {
        let text = matrix([[f64::NEG_INFINITY, -60.0], [-21.0, -80.0]]).to_string();
        assert_eq!(
            text,
            "            dBFS, hears:    alice      bob\n         alice ( 400 Hz)       -    -60.0!\n           bob ( 450 Hz)   -21.0    -80.0 "
        );
    }
}
