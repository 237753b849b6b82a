/// Arms whose numbers lie side by side.
pub(crate) const LANES: usize = 8;

/// A vector for each of some arms. The same entry of [`LANES`] arms lies side by side, so that one feature meets them all
/// at once, and a feature that is zero costs nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lanes {
    dimension: usize,
    /// By block of arms, then by entry.
    entries: Vec<[f64; LANES]>,
}

impl Lanes {
    /// All zero.
    pub(crate) fn new(dimension: usize, arms: usize) -> Self {
        Self {
            dimension,
            entries: vec![[0.0; LANES]; dimension * arms.div_ceil(LANES)],
        }
    }

    /// Sets the vector of one arm.
    pub(crate) fn set(&mut self, arm: usize, vector: impl Iterator<Item = f64>) {
        let block = (arm / LANES) * self.dimension;
        let entries = &mut self.entries[block..block + self.dimension];
        for (entry, value) in entries.iter_mut().zip(vector) {
            entry[arm % LANES] = value;
        }
    }

    /// `start` plus the inner product of each arm's vector with one of which only what is not zero is given. Beyond the
    /// last arm, up to a whole block, stands what means nothing.
    pub(crate) fn times(&self, nonzero: &[(usize, f32)], start: f64) -> Vec<f64> {
        let mut all = Vec::with_capacity(self.entries.len() / self.dimension.max(1) * LANES);
        for block in self.entries.chunks_exact(self.dimension.max(1)) {
            let mut sums = [start; LANES];
            for &(place, x) in nonzero {
                let (x, entries) = (f64::from(x), &block[place]);
                for lane in 0..LANES {
                    sums[lane] += x * entries[lane];
                }
            }
            all.extend_from_slice(&sums);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_arm_has_its_own_vector() {
        let mut lanes = Lanes::new(3, 11);
        let entry = |arm: usize, place: usize| (arm * 3 + place) as f64;
        for arm in 0..11 {
            lanes.set(arm, (0..3).map(|place| entry(arm, place)));
        }
        let products = lanes.times(&[(0, 2.0), (2, -1.0)], 0.5);
        for (arm, product) in products.iter().take(11).enumerate() {
            assert_eq!(*product, 0.5 + 2.0 * entry(arm, 0) - entry(arm, 2));
        }
    }
}
