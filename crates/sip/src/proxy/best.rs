//! Which final response goes upstream (RFC 3261 §16.7 step 6).

use std::sync::Arc;

use crate::{Flow, Message};

/// A final response that could be the one.
#[derive(Clone, Debug)]
pub(super) enum Candidate {
    /// One that a branch sent, and where from.
    Received(Arc<Message>, Flow),
    /// One that stands for a branch that sent none.
    Generated(u16),
}

impl Candidate {
    pub(super) fn status(&self) -> u16 {
        match self {
            Self::Received(message, _) => message.status().unwrap_or(500),
            Self::Generated(status) => *status,
        }
    }
}

/// Lower is better: 6xx before all, then the lowest class; in 4xx first what lets the caller try again better.
fn rank(status: u16) -> (u16, u16) {
    let class = match status / 100 {
        6 => 0,
        class => class,
    };
    let within = match status {
        401 | 407 | 415 | 420 | 484 => 0,
        // What a branch says is worth more than its silence.
        408 => 2,
        _ => 1,
    };
    (class, within)
}

/// Keeps the better of two; the first of equals.
pub(super) fn better(best: Option<Candidate>, new: Candidate) -> Candidate {
    match best {
        Some(best) if rank(best.status()) <= rank(new.status()) => best,
        _ => new,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(statuses: &[u16]) -> u16 {
        let best = statuses.iter().fold(None, |best, status| Some(better(best, Candidate::Generated(*status))));
        best.map_or(0, |best| best.status())
    }

    #[test]
    fn chooses_by_class_and_then_by_what_helps_the_caller() {
        assert_eq!(choose(&[404, 603, 302]), 603);
        assert_eq!(choose(&[500, 404, 302]), 302);
        assert_eq!(choose(&[404, 407, 486]), 407);
        assert_eq!(choose(&[408, 486]), 486);
        assert_eq!(choose(&[404, 486]), 404);
    }
}
