/// Sums for the estimate and interval of empirical likelihood in its quadratic form (the power divergence of Cressie
/// and Read with exponent -2): the distribution over the rows and one row more, unseen and of an extreme weight, that
/// is nearest to the uniform one while the mean weight is 1.
///
/// Source: Karampatziakis, Langford, Mineiro (2020), "Empirical likelihood for contextual bandits", section 4: the
/// estimate by the maximum of the likelihood, the interval by its profile with an F quantile.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct CressieRead {
    count: f64,
    r: f64,
    w: f64,
    ww: f64,
    wr: f64,
    wwr: f64,
    wwrr: f64,
    largest: f64,
}

/// Weights are not negative; the largest is the largest seen.
const LEAST_WEIGHT: f64 = 0.0;

impl CressieRead {
    /// Adds a row; `reward` in [0, 1].
    pub(crate) fn push(&mut self, weight: f64, reward: f64) {
        let (wr, ww) = (weight * reward, weight * weight);
        self.count += 1.0;
        self.r += reward;
        self.w += weight;
        self.ww += ww;
        self.wr += wr;
        self.wwr += ww * reward;
        self.wwrr += wr * wr;
        self.largest = self.largest.max(weight);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.r += other.r;
        self.w += other.w;
        self.ww += other.ww;
        self.wr += other.wr;
        self.wwr += other.wwr;
        self.wwrr += other.wwrr;
        self.largest = self.largest.max(other.largest);
    }

    /// The largest weight seen.
    pub(crate) fn largest(&self) -> f64 {
        self.largest
    }

    /// The weight of the unseen row: what moves the mean weight towards 1.
    fn unseen(&self) -> f64 {
        if self.w < self.count {
            self.largest
        } else {
            LEAST_WEIGHT
        }
    }

    /// The estimate, in [0, 1]; the unseen row's reward is the mean of those seen. `None` where weights do not vary, or none
    /// is above 1.
    pub(crate) fn estimate(&self) -> Option<f64> {
        let unseen = self.unseen();
        let all = self.count + 1.0;
        let a = (unseen + self.w) / all;
        let b = (unseen * unseen + self.ww) / all;
        let spread = b - a * a;
        if self.count < 1.0 || self.largest <= 1.0 || spread <= 0.0 {
            return None;
        }
        // Each row's probability is (level + slope w) / all.
        let level = (b - a) / spread;
        let slope = (1.0 - a) / spread;
        let seen = (level * self.wr + slope * self.wwr) / all;
        let missing = (level * unseen + slope * unseen * unseen) / all;
        Some((seen + missing * self.r / self.count).clamp(0.0, 1.0))
    }

    /// The interval of nominal coverage `level`; `quantile` is that of F with 1 and n degrees of freedom.
    pub(crate) fn interval(&self, quantile: f64) -> Option<(f64, f64)> {
        self.estimate()?;
        let all = self.count + 1.0;
        let unseen = self.unseen();
        let a = (unseen + self.w) / all;
        let b = (unseen * unseen + self.ww) / all;
        let attained = all * (a - 1.0) * (a - 1.0) / (b - a * a);
        let phi = (-attained - quantile) / (2.0 * all);
        let low = self.bound(phi, 0.0, 1.0)?;
        let high = -self.bound(phi, 1.0, -1.0)?;
        Some((low.clamp(0.0, 1.0), high.clamp(0.0, 1.0)))
    }

    /// The least value, times `sign`, that the profile allows when the unseen row earns `reward`, over both extreme
    /// weights of that row.
    fn bound(&self, phi: f64, reward: f64, sign: f64) -> Option<f64> {
        let all = self.count + 1.0;
        let of = |unseen: f64| {
            let w = (unseen + self.w) / all;
            let ww = (unseen * unseen + self.ww) / all;
            let wr = sign * (unseen * reward + self.wr) / all;
            let wwr = sign * (unseen * unseen * reward + self.wwr) / all;
            let wwrr = (unseen * unseen * reward * reward + self.wwrr) / all;
            let spread = ww - w * w;
            if spread <= 0.0 {
                return None;
            }
            let together = wwr - w * wr;
            let x = wr + (1.0 - w) * together / spread;
            let y = together * together / spread - (wwrr - wr * wr);
            let z = phi + 0.5 * (1.0 - w) * (1.0 - w) / spread;
            let product = if (y * z).abs() < 1e-9 { 0.0 } else { y * z };
            (z <= 0.0 && product >= 0.0).then(|| x - (2.0 * product).sqrt())
        };
        let candidates = [of(LEAST_WEIGHT), of(self.largest)];
        candidates.into_iter().flatten().reduce(f64::min)
    }
}
