use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// Keeps the values that were used last.
#[derive(Debug)]
pub struct Cache<K, V> {
    capacity: usize,
    clock: u64,
    values: HashMap<K, (V, u64)>,
    order: BTreeMap<u64, K>,
    hits: u64,
    misses: u64,
}

impl<K: Clone + Eq + Hash, V> Cache<K, V> {
    pub fn new(capacity: usize) -> Self {
        assert!(capacity > 0, "a cache must hold something");
        Self {
            capacity,
            clock: 0,
            values: HashMap::with_capacity(capacity),
            order: BTreeMap::new(),
            hits: 0,
            misses: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub fn get(&mut self, key: &K) -> Option<&V> {
        self.clock += 1;
        let clock = self.clock;
        match self.values.get_mut(key) {
            Some((value, used)) => {
                self.order.remove(used);
                self.order.insert(clock, key.clone());
                *used = clock;
                self.hits += 1;
                Some(value)
            }
            None => {
                self.misses += 1;
                None
            }
        }
    }

    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.clock += 1;
        let old = self.values.insert(key.clone(), (value, self.clock));
        if let Some((_, used)) = &old {
            self.order.remove(used);
        }
        self.order.insert(self.clock, key);
        while self.values.len() > self.capacity {
            self.evict();
        }
        old.map(|(value, _)| value)
    }

    pub fn remove(&mut self, key: &K) -> Option<V> {
        let (value, used) = self.values.remove(key)?;
        self.order.remove(&used);
        Some(value)
    }

    pub fn clear(&mut self) {
        self.values.clear();
        self.order.clear();
    }

    pub fn hit_rate(&self) -> Option<f64> {
        let total = self.hits + self.misses;
        (total > 0).then(|| self.hits as f64 / total as f64)
    }

    fn evict(&mut self) {
        let Some((_, oldest)) = self.order.pop_first() else {
            return;
        };
        self.values.remove(&oldest);
    }
}

impl<K: Clone + Eq + Hash, V> Extend<(K, V)> for Cache<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_value_goes_first() {
        let mut cache = Cache::new(2);
        cache.insert("a", 1);
        cache.insert("b", 2);
        assert_eq!(cache.get(&"a"), Some(&1));
        cache.insert("c", 3);
        assert_eq!(cache.get(&"b"), None);
        assert_eq!(cache.len(), 2);
    }
}
