//! The names that clients may call models by.
//!
//! Clients choose how to write a prompt by the model's name. So the routed model, `ROUTED`, has
//! further names, some of which are listed for clients that let their user pick one: any name that is
//! no arm's and holds a model family's name stands for the routed model.

use crate::config::ROUTED;
use crate::state::Live;

/// Every listed name: the routed model, the arms, and the routed model's names that make clients
/// choose a good template.
pub fn all(live: &Live) -> impl Iterator<Item = String> {
    let arms = live.arms.iter().map(|arm| arm.settings().name.as_str());
    let names: Vec<&str> = std::iter::once(ROUTED).chain(arms).collect();
    let further = LISTED.into_iter().filter(|name| !names.contains(name));
    let all: Vec<String> = names
        .iter()
        .copied()
        .chain(further)
        .map(str::to_owned)
        .collect();
    all.into_iter()
}

/// Whether a request may call for this name.
pub fn is_known(live: &Live, name: &str) -> bool {
    live.arms.named(name).is_some() || is_routed(live, name)
}

/// Whether a name stands for the routed model.
pub fn is_routed(live: &Live, name: &str) -> bool {
    name == ROUTED || (live.arms.named(name).is_none() && has_family(name))
}

/// Turns each name of the routed model into the one that the log uses.
pub fn resolve(live: &Live, name: &mut String) {
    if name != ROUTED && is_routed(live, name) {
        ROUTED.clone_into(name);
    }
}

fn has_family(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    FAMILIES.iter().any(|family| name.contains(family))
}

/// Names by which Continue and others choose Qwen's template, and Codestral's.
const LISTED: [&str; 2] = ["echo-qwen2.5-coder", "codestral-latest"];

/// Parts of model names by which clients choose a template.
const FAMILIES: [&str; 14] = [
    "codegeex",
    "codegemma",
    "codellama",
    "codestral",
    "deepseek-coder",
    "glm-4",
    "granite",
    "mercury",
    "qwen2.5-coder",
    "qwen3-coder",
    "santacoder",
    "seed-coder",
    "stable-code",
    "starcoder",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_familys_name_is_found_in_the_names_that_clients_send() {
        for name in [
            "bigcode/starcoder2-3b",
            "Qwen2.5-Coder:1.5b",
            "codellama:7b-code",
        ] {
            assert!(has_family(name), "{name}");
        }
        for name in ["nobody", "gpt-4o", "m", ""] {
            assert!(!has_family(name), "{name}");
        }
        assert!(LISTED.into_iter().all(has_family));
    }
}
