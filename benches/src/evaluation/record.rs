use echo_sim::estimators::Value;

/// What an estimator made of many logs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// The estimator.
    pub estimator: String,
    /// Logs.
    pub logs: u32,
    /// Sum of errors, and of their squares.
    pub errors: (f64, f64),
    /// Logs whose interval held the truth.
    pub held: u32,
    /// Sum of the widths of the intervals.
    pub widths: f64,
    /// Logs whose anytime interval held the truth whenever it was looked at, after every hundredth row.
    pub held_always: Option<u32>,
    /// Logs whose plain interval held it whenever it was looked at.
    pub held_whenever: u32,
}

impl Record {
    /// Adds what it made of one more log, whose truth is known.
    pub(super) fn add(&mut self, value: &Value, truth: f64) {
        let error = value.value - truth;
        self.estimator.clone_from(&value.estimator);
        self.logs += 1;
        self.errors.0 += error;
        self.errors.1 += error * error;
        self.held += u32::from(value.interval.holds(truth));
        self.widths += value.interval.hi - value.interval.lo;
    }

    /// Mean error.
    pub fn bias(&self) -> f64 {
        self.errors.0 / f64::from(self.logs)
    }

    /// Root of the mean squared error.
    pub fn rmse(&self) -> f64 {
        (self.errors.1 / f64::from(self.logs)).sqrt()
    }

    /// Share of the logs whose interval held the truth.
    pub fn coverage(&self) -> f64 {
        f64::from(self.held) / f64::from(self.logs)
    }

    /// Mean width of the intervals.
    pub fn width(&self) -> f64 {
        self.widths / f64::from(self.logs)
    }
}
