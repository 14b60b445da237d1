//! Connections by number.
//!
//! Owns the slots that connections live in, and the generations that keep a late event or a slow
//! application from reaching the next connection in the same slot.

/// Names one connection, also after it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectionId {
    /// The slot; small, and used again.
    pub index: u32,
    /// How many connections had the slot before.
    pub generation: u32,
}

impl ConnectionId {
    pub(crate) const fn to_token(self) -> u64 {
        (self.generation as u64) << 32 | self.index as u64
    }

    pub(crate) const fn from_token(token: u64) -> Self {
        Self {
            index: token as u32,
            generation: (token >> 32) as u32,
        }
    }
}

struct Entry<C> {
    generation: u32,
    value: Option<C>,
}

/// A table of values with slots that are used again.
pub(crate) struct Table<C> {
    entries: Vec<Entry<C>>,
    free: Vec<u32>,
}

impl<C> Table<C> {
    pub(crate) const fn new() -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    pub(crate) fn insert(&mut self, value: C) -> ConnectionId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry {
                generation: 0,
                value: None,
            });
            self.entries.len() as u32 - 1
        });
        let entry = &mut self.entries[index as usize];
        entry.value = Some(value);
        ConnectionId {
            index,
            generation: entry.generation,
        }
    }

    pub(crate) fn get(&self, id: ConnectionId) -> Option<&C> {
        let entry = self.entries.get(id.index as usize)?;
        if entry.generation == id.generation {
            entry.value.as_ref()
        } else {
            None
        }
    }

    pub(crate) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut C> {
        let entry = self.entries.get_mut(id.index as usize)?;
        if entry.generation == id.generation {
            entry.value.as_mut()
        } else {
            None
        }
    }

    pub(crate) fn remove(&mut self, id: ConnectionId) -> Option<C> {
        let entry = self.entries.get_mut(id.index as usize)?;
        if entry.generation != id.generation {
            return None;
        }
        let value = entry.value.take()?;
        entry.generation = entry.generation.wrapping_add(1);
        self.free.push(id.index);
        Some(value)
    }

    pub(crate) fn ids(&self) -> Vec<ConnectionId> {
        let occupied = |(index, entry): (usize, &Entry<C>)| {
            let id = ConnectionId {
                index: index as u32,
                generation: entry.generation,
            };
            entry.value.is_some().then_some(id)
        };
        self.entries
            .iter()
            .enumerate()
            .filter_map(occupied)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_name_does_not_reach_the_next_tenant() {
        let mut table = Table::new();
        let first = table.insert('a');
        assert_eq!(table.remove(first), Some('a'));
        let second = table.insert('b');
        assert_eq!(first.index, second.index);
        assert_eq!(table.get(first), None);
        assert_eq!(table.remove(first), None);
        assert_eq!(table.get(second), Some(&'b'));
        assert_eq!(ConnectionId::from_token(second.to_token()), second);
        assert_eq!((table.len(), table.ids()), (1, vec![second]));
    }
}
