//! Emergency numbers, by territory.

/// What is an emergency number everywhere: the numbers that every mobile phone dials as such.
const EVERYWHERE: [&str; 2] = ["112", "911"];

/// Lines of a territory and its numbers; made of libphonenumber's metadata by `tests/emergency_table.rs`.
const TABLE: &str = include_str!("emergency/numbers.txt");

/// The emergency numbers of a territory and those of every territory, ascending.
pub(crate) fn numbers(territory: &str) -> Vec<&'static str> {
    let own = TABLE
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(' '))
        .find(|(name, _)| *name == territory)
        .map_or("", |(_, numbers)| numbers);
    let mut numbers: Vec<_> = own.split(' ').filter(|number| !number.is_empty()).chain(EVERYWHERE).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_numbers_of_a_territory_and_those_of_everywhere() {
        for (territory, expected) in [
            ("US", vec!["112", "911"]),
            ("GB", vec!["112", "911", "999"]),
            ("DE", vec!["110", "112", "911"]),
            ("AU", vec!["000", "106", "112", "911"]),
            ("GN", vec!["112", "911"]),
            ("#", vec!["112", "911"]),
        ] {
            assert_eq!(numbers(territory), expected, "{territory}");
        }
    }
}
