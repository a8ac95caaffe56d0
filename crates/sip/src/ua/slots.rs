//! A bounded table whose keys are never valid for a later entry of the same place.

use slab::Slab;

#[derive(Debug)]
pub(super) struct Slots<T> {
    slab: Slab<(u32, T)>,
    generation: u32,
    limit: usize,
}

impl<T> Slots<T> {
    pub(super) const fn new(limit: usize) -> Self {
        Self { slab: Slab::new(), generation: 0, limit }
    }

    /// Puts an entry in; `None` where the table is full. A key is never 0.
    pub(super) fn insert(&mut self, entry: T) -> Option<u64> {
        if self.slab.len() >= self.limit {
            return None;
        }
        self.generation = self.generation.wrapping_add(1).max(1);
        let slot = self.slab.insert((self.generation, entry));
        Some(u64::from(self.generation) << 32 | u64::try_from(slot).ok()? & SLOT)
    }

    pub(super) fn get(&self, key: u64) -> Option<&T> {
        self.slab.get(slot(key)).filter(|(generation, _)| *generation == generation_of(key)).map(|(_, entry)| entry)
    }

    pub(super) fn get_mut(&mut self, key: u64) -> Option<&mut T> {
        let found = self.slab.get_mut(slot(key)).filter(|(generation, _)| *generation == generation_of(key));
        found.map(|(_, entry)| entry)
    }

    pub(super) fn remove(&mut self, key: u64) -> Option<T> {
        self.get(key)?;
        Some(self.slab.remove(slot(key)).1)
    }

    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.slab.len() >= self.limit
    }
}

const SLOT: u64 = 0xffff_ffff;

fn slot(key: u64) -> usize {
    usize::try_from(key & SLOT).unwrap_or(usize::MAX)
}

fn generation_of(key: u64) -> u32 {
    u32::try_from(key >> 32).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_does_not_outlive_its_entry() {
        let mut slots = Slots::new(1);
        let first = slots.insert("a").unwrap();
        assert_eq!(slots.insert("b"), None);
        assert_eq!(slots.remove(first), Some("a"));
        let second = slots.insert("b").unwrap();
        assert_ne!(first, second);
        assert_eq!((slots.get(first), slots.get(second)), (None, Some(&"b")));
        assert_eq!(slots.remove(first), None);
    }
}
