use crate::policies::cover::prefer;
use crate::query::Query;
use crate::ridge::Ridge;
use crate::triangle::{Cholesky, packed_length};
use crate::{PolicyError, RewardState};

/// What the policies of a cover after the first add to the rewards expected of the arms.
///
/// Over the contexts that the state's window keeps, each policy in turn is rewarded besides for an arm that those before
/// it seldom take: by `psi mu / max(share, mu)` for the share of them that prefers the arm there, mu being the least
/// probability `min(1/K, 1 / sqrt(K n))` for K arms and n events. A ridge regression for each arm carries that to other
/// contexts.
#[derive(Debug, Clone)]
pub(crate) struct Cover {
    arms: Vec<String>,
    /// Of each policy after the first, the weights of each arm.
    bonuses: Vec<Vec<Vec<f64>>>,
    psi: f64,
}

impl Cover {
    /// Solves all of them: one system of d features, solved for each policy and arm.
    ///
    /// # Errors
    /// If the system has no solution, which a positive ridge keeps from happening.
    pub(crate) fn fit(
        state: &RewardState,
        size: u32,
        psi: f64,
        ridge: &Ridge,
        predict: impl Fn(&Query<'_>) -> Vec<f64>,
    ) -> Result<Self, PolicyError> {
        let arms: Vec<String> = ridge.arms().to_vec();
        let names: Vec<&str> = arms.iter().map(String::as_str).collect();
        let dimension = state.schema().dimension;
        let mut cover = Self {
            arms: arms.clone(),
            bonuses: Vec::new(),
            psi,
        };
        if arms.is_empty() {
            return Ok(cover);
        }
        let decisions: Vec<_> = state.window().decisions().collect();
        let queries: Vec<Query<'_>> = decisions
            .iter()
            .map(|(_, decision)| Query::new(&names, decision.features.as_slice()))
            .collect();
        let mut products = vec![0.0; packed_length(dimension)];
        for query in &queries {
            for (at, &(j, xj)) in query.nonzero.iter().enumerate() {
                for &(i, xi) in &query.nonzero[..=at] {
                    products[packed_length(j) + i] += f64::from(xj) * f64::from(xi);
                }
            }
        }
        let factor = Cholesky::new(&products, LAMBDA, dimension)
            .ok_or_else(|| PolicyError::NotPositive(arms[0].clone()))?;
        let expected: Vec<Vec<f64>> = queries.iter().map(predict).collect();
        let count = arms.len() as f64;
        let events = state.total().max(1) as f64;
        let least = (1.0 / count).min(1.0 / (count * events).sqrt());
        let mut shares = vec![vec![0.0; arms.len()]; queries.len()];
        for (scores, shares) in expected.iter().zip(&mut shares) {
            prefer(scores, shares);
        }
        for policies in 1..size {
            let mut weights = vec![vec![0.0; dimension]; arms.len()];
            for (query, shares) in queries.iter().zip(&shares) {
                for (weights, share) in weights.iter_mut().zip(shares) {
                    let bonus = psi * least / (share / f64::from(policies)).max(least);
                    for &(place, x) in &query.nonzero {
                        weights[place] += f64::from(x) * bonus;
                    }
                }
            }
            for weights in &mut weights {
                factor.solve(weights);
            }
            for ((query, scores), shares) in queries.iter().zip(&expected).zip(&mut shares) {
                let own = scores.iter().zip(&weights);
                let own: Vec<f64> = own.map(|(s, weights)| s + along(query, weights)).collect();
                prefer(&own, shares);
            }
            cover.bonuses.push(weights);
        }
        Ok(cover)
    }

    /// What each policy after the first adds in a context. Of an unknown arm it is the most there is.
    pub(crate) fn bonuses(&self, query: &Query<'_>) -> impl Iterator<Item = Vec<f64>> {
        let places: Vec<Option<usize>> = query
            .arms
            .iter()
            .map(|arm| {
                let found = self.arms.binary_search_by(|known| known.as_str().cmp(arm));
                found.ok()
            })
            .collect();
        self.bonuses.iter().map(move |weights| {
            let of = |place: &Option<usize>| match place {
                Some(place) => along(query, &weights[*place]),
                None => self.psi,
            };
            places.iter().map(of).collect()
        })
    }
}

fn along(query: &Query<'_>, weights: &[f64]) -> f64 {
    let products = query.nonzero.iter();
    products
        .map(|&(place, x)| f64::from(x) * weights[place])
        .sum()
}

/// The strength of the ridge.
const LAMBDA: f64 = 1.0;
