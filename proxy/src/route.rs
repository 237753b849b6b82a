//! Choosing an arm for one request.

use std::sync::Arc;

use echo_experience::LOCAL_TENANT;
use echo_policy::{DrawKey, Facts, Features, Policy, Position, Trigger};
use sha2::{Digest, Sha256};

use crate::answer::window;
use crate::arm::Arm;
use crate::config::ControlFile;
use crate::dialect::ApiError;
use crate::ids::DecisionId;
use crate::request::CompletionRequest;
use crate::state::{Echo, Live, Policies};
use crate::watch::{Recent, UserKey};

/// Whether a user's requests are learned from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cohort {
    /// The policy decides, and learns.
    Treatment,
    /// A uniform draw decides, and nothing is learned.
    Control,
}

impl Cohort {
    /// The cohort of a user: fixed by a hash with the configuration's salt, unless the user is pinned.
    pub fn of(user: &UserKey, control: &ControlFile) -> Self {
        if control.pinned.contains(&user.user) {
            return Self::Control;
        }
        if control.share <= 0.0 {
            return Self::Treatment;
        }
        let text = [control.salt.as_str(), &user.tenant, &user.user].join("\0");
        let digest = Sha256::digest(text.as_bytes());
        let head = digest.first_chunk().copied().unwrap_or_default();
        let place = u64::from_be_bytes(head) as f64 / u64::MAX as f64;
        if place < control.share {
            Self::Control
        } else {
            Self::Treatment
        }
    }

    /// The name that the log uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Treatment => "treatment",
            Self::Control => "control",
        }
    }
}

/// The arms of one request with their probabilities, and the one drawn.
#[derive(Debug)]
pub struct Route {
    /// The arms that could take it.
    pub arms: Vec<Arc<Arm>>,
    /// The probability of each.
    pub probabilities: Vec<f64>,
    /// Which one was drawn.
    pub chosen: usize,
    /// False when the client named the arm.
    pub routed: bool,
    /// Whether the policy could not score, and a uniform draw stood in for it.
    pub degraded: bool,
    /// The version of the policy that decided.
    pub policy_version: u64,
}

impl Route {
    /// The arms' ids, in order.
    pub fn ids(&self) -> Vec<String> {
        self.arms.iter().map(|arm| arm.id().to_owned()).collect()
    }

    /// The arm drawn.
    pub fn drawn(&self) -> &Arc<Arm> {
        &self.arms[self.chosen]
    }

    /// The other arms, the most probable first.
    pub fn others(&self) -> Vec<Arc<Arm>> {
        let mut order: Vec<usize> = (0..self.arms.len()).filter(|i| *i != self.chosen).collect();
        order.sort_by(|a, b| self.probabilities[*b].total_cmp(&self.probabilities[*a]));
        order
            .into_iter()
            .map(|i| Arc::clone(&self.arms[i]))
            .collect()
    }
}

/// Gathers what the policy may know of a request.
pub fn facts(
    echo: &Echo,
    request: &CompletionRequest,
    user: &UserKey,
    client: &str,
    recent: Recent,
) -> Facts {
    let chars = |text: &str| u32::try_from(text.len()).unwrap_or(u32::MAX);
    Facts {
        language: request.language.clone(),
        tenant: (user.tenant != LOCAL_TENANT).then(|| user.tenant.clone()),
        client: client.to_owned(),
        trigger: Trigger::Automatic,
        prefix_chars: chars(&request.prefix),
        suffix_chars: chars(&request.suffix),
        position: Position::at(
            &request.prefix,
            &request.suffix,
            request.language.as_deref(),
        ),
        hour: echo.clock.hour(),
        user_acceptance: recent.user,
        file_acceptance: recent.file,
    }
}

/// Draws an arm for a routed request, or takes the one that the client named.
///
/// # Errors
///
/// 404 for a model that is not there, 503 when no arm can take the request.
pub fn choose(
    echo: &Echo,
    live: &Live,
    cohort: Cohort,
    user: &UserKey,
    request: &CompletionRequest,
    features: &Features,
    id: DecisionId,
) -> Result<Route, ApiError> {
    let model = &request.model;
    let policies = echo.policies.load();
    let policy = policies.of(cohort);
    if model != crate::config::ROUTED {
        let arm = live
            .arms
            .named(model)
            .ok_or_else(|| ApiError::unknown_model(model))?;
        return Ok(Route {
            arms: vec![Arc::clone(arm)],
            probabilities: vec![1.0],
            chosen: 0,
            routed: false,
            degraded: false,
            policy_version: policy.version(),
        });
    }
    let eligible = live.eligible(policy);
    let key = DrawKey {
        seed: policies.seed,
        decision: id.as_u128(),
    };
    let draw = |used: &[String]| {
        let route = draw(policy, features, &eligible, used, key)?;
        let arm = route.drawn().id().to_owned();
        Ok((route, arm))
    };
    echo.slates
        .draw(user, &window(request), echo.clock.now_ms(), draw)
}

/// Draws one of the arms, of those that the slate has not used if there are any.
fn draw(
    policy: &Policy,
    features: &Features,
    eligible: &[Arc<Arm>],
    used: &[String],
    key: DrawKey,
) -> Result<Route, ApiError> {
    let is_new = |arm: &&Arc<Arm>| !used.iter().any(|used| used == arm.id());
    let mut arms: Vec<Arc<Arm>> = eligible.iter().filter(is_new).cloned().collect();
    if arms.is_empty() {
        arms = eligible.to_vec();
    }
    if arms.is_empty() {
        return Err(ApiError::unavailable(1));
    }
    let names: Vec<&str> = arms.iter().map(|arm| arm.id()).collect();
    let choice = policy.decide(features, &names, key).map_err(|error| {
        tracing::error!(%error, "the policy cannot decide");
        ApiError::internal()
    })?;
    Ok(Route {
        probabilities: choice.distribution.probabilities().to_vec(),
        chosen: choice.chosen,
        arms,
        routed: true,
        degraded: choice.degraded,
        policy_version: policy.version(),
    })
}

impl Policies {
    /// The policy that decides for a cohort.
    pub fn of(&self, cohort: Cohort) -> &Arc<Policy> {
        match cohort {
            Cohort::Treatment => &self.treatment,
            Cohort::Control => &self.control,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_control_cohort_is_stable_and_of_the_right_size() {
        let control = ControlFile {
            share: 0.3,
            ..ControlFile::default()
        };
        let cohort = |n: u32, control: &ControlFile| {
            let user = UserKey {
                tenant: "t".to_owned(),
                user: n.to_string(),
            };
            Cohort::of(&user, control)
        };
        let count = (0..2_000)
            .filter(|n| cohort(*n, &control) == Cohort::Control)
            .count();
        // Binomial(2000, 0.3): outside of 600 +- 82 with a probability below 1e-4.
        assert!((518..=682).contains(&count), "{count}");
        assert!((0..100).all(|n| cohort(n, &control) == cohort(n, &control)));
        let none = ControlFile {
            share: 0.0,
            pinned: vec!["7".to_owned()],
            ..control
        };
        assert!((0..100).all(|n| (cohort(n, &none) == Cohort::Control) == (n == 7)));
    }
}
