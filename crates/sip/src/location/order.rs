//! The order of SRV records (RFC 2782): by priority, and among equals drawn by weight.

use super::Srv;

/// Orders records; the draw is `seed`'s.
pub(super) fn by_weight(records: &[Srv], seed: u64) -> Vec<Srv> {
    let mut rest: Vec<Srv> = records.to_vec();
    // The same records in another order are the same records.
    rest.sort_by(|one, other| {
        (one.priority, one.weight, &one.target, one.port).cmp(&(
            other.priority,
            other.weight,
            &other.target,
            other.port,
        ))
    });
    let mut state = seed;
    let mut ordered = Vec::with_capacity(rest.len());
    while let Some(priority) = rest.first().map(|record| record.priority) {
        let end = rest.iter().position(|record| record.priority != priority).unwrap_or(rest.len());
        let total: u64 = rest[..end].iter().map(|record| u64::from(record.weight)).sum();
        let drawn = draw(&mut state, total);
        let mut sum = 0;
        // Records of weight 0 come first in the running sum: they are chosen only where 0 is drawn.
        let chosen = rest[..end].iter().position(|record| {
            sum += u64::from(record.weight);
            sum >= drawn
        });
        ordered.push(rest.remove(chosen.unwrap_or(0)));
    }
    ordered
}

/// A number from 0 to `most`, both of them possible.
fn draw(state: &mut u64, most: u64) -> u64 {
    // splitmix64
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) % (most + 1)
}
