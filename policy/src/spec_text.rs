use std::fmt;
use std::str::FromStr;

use crate::prior::Strength;
use crate::spec_keys::{Common, FACTOR, Keys, POSITIVE, UNIT, WEIGHT, not_allowed, number};
use crate::{Budget, Forgetting, PolicySpec, Rule, ShareBound, SpecError, forgetting};

/// The names of all policies.
pub(crate) const POLICIES: &str = "uniform, fixed, always, epsilon-greedy, softmax, linucb, lints, squarecb, regcb-opt, regcb-elim, bootstrap, cover, randucb";

impl FromStr for PolicySpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let (name, rest) = text.trim().split_once(':').unwrap_or((text.trim(), ""));
        match name {
            "uniform" => {
                let mut keys = Keys::read("uniform", rest)?;
                let bounds = keys.bounds()?;
                keys.finish("least:ARM and most:ARM")?;
                Ok(without_learning(Rule::Uniform, 0.0, bounds))
            }
            "fixed" => fixed(rest),
            "always" => always(rest),
            "epsilon-greedy" => learning("epsilon-greedy", rest, "epsilon", |keys| {
                let epsilon = keys.number("epsilon", 0.1, &UNIT)?;
                Ok(Rule::EpsilonGreedy { epsilon })
            }),
            "softmax" => learning("softmax", rest, "temperature", |keys| {
                let temperature = keys.number("temperature", 0.05, &POSITIVE)?;
                Ok(Rule::Softmax { temperature })
            }),
            "linucb" => learning("linucb", rest, "alpha", |keys| {
                let alpha = keys.number("alpha", 0.3, &FACTOR)?;
                Ok(Rule::LinUcb { alpha })
            }),
            "lints" => learning("lints", rest, "scale, draws", |keys| {
                let scale = keys.number("scale", 0.1, &FACTOR)?;
                let draws = keys.whole("draws", 64, 4096)?;
                Ok(Rule::LinTs { scale, draws })
            }),
            "squarecb" => learning("squarecb", rest, "gamma", |keys| {
                let gamma = keys.number("gamma", 10.0, &POSITIVE)?;
                Ok(Rule::SquareCb { gamma })
            }),
            "bootstrap" => learning("bootstrap", rest, "replicates", |keys| {
                let replicates = keys.whole("replicates", 8, 64)?;
                Ok(Rule::Bootstrap { replicates })
            }),
            "cover" => learning("cover", rest, "size, psi", |keys| {
                let size = keys.whole("size", 4, 64)?;
                let psi = keys.number("psi", 0.1, &FACTOR)?;
                Ok(Rule::Cover { size, psi })
            }),
            "randucb" => learning("randucb", rest, "scale", |keys| {
                let scale = keys.number("scale", 1.3, &FACTOR)?;
                Ok(Rule::RandUcb { scale })
            }),
            "regcb-opt" => reg_cb("regcb-opt", rest, false),
            "regcb-elim" => reg_cb("regcb-elim", rest, true),
            _ => Err(SpecError::UnknownPolicy(name.to_owned())),
        }
    }
}

impl TryFrom<String> for PolicySpec {
    type Error = SpecError;

    fn try_from(text: String) -> Result<Self, SpecError> {
        text.parse()
    }
}

impl From<PolicySpec> for String {
    fn from(spec: PolicySpec) -> Self {
        spec.to_string()
    }
}

impl fmt::Display for PolicySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.rule {
            Rule::Uniform => {
                write!(f, "uniform")?;
                return fmt_bounds(&self.bounds, ':', f);
            }
            Rule::Fixed { weights } => {
                fmt_weights(weights, f)?;
                write!(f, ",floor={}", self.floor)?;
                return fmt_bounds(&self.bounds, ',', f);
            }
            Rule::RegCb {
                mellowness,
                eliminates,
            } => {
                let name = if *eliminates { "elim" } else { "opt" };
                write!(f, "regcb-{name}:mellowness={mellowness}")?;
            }
            Rule::EpsilonGreedy { epsilon } => write!(f, "epsilon-greedy:epsilon={epsilon}")?,
            Rule::Softmax { temperature } => write!(f, "softmax:temperature={temperature}")?,
            Rule::LinUcb { alpha } => write!(f, "linucb:alpha={alpha}")?,
            Rule::LinTs { scale, draws } => write!(f, "lints:scale={scale},draws={draws}")?,
            Rule::RandUcb { scale } => write!(f, "randucb:scale={scale}")?,
            Rule::Bootstrap { replicates } => write!(f, "bootstrap:replicates={replicates}")?,
            Rule::Cover { size, psi } => write!(f, "cover:size={size},psi={psi}")?,
            Rule::SquareCb { gamma } => write!(f, "squarecb:gamma={gamma}")?,
        }
        write!(f, ",floor={},lambda=", self.floor)?;
        match self.strength {
            Strength::Auto => write!(f, "auto")?,
            Strength::Fixed(lambda) => write!(f, "{lambda}")?,
        }
        if self.is_logistic {
            write!(f, ",model=logistic")?;
        }
        if self.window > 0 {
            write!(f, ",window={}", self.window)?;
        }
        fmt_forgetting(&self.forgetting, f)?;
        if let Some(budget) = &self.budget {
            fmt_budget(budget, f)?;
        }
        if self.weighs_censoring {
            write!(f, ",ipcw=client")?;
        }
        fmt_bounds(&self.bounds, ',', f)
    }
}

fn fmt_forgetting(forgets: &Forgetting, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if let Some(half_life) = forgets.half_life_ms {
        write!(f, ",halflife={}", forgetting::text(half_life))?;
    }
    for (arm, half_life) in &forgets.arms {
        write!(f, ",halflife:{arm}={}", forgetting::text(*half_life))?;
    }
    match forgets.change {
        Some(level) => write!(f, ",change={level}"),
        None => Ok(()),
    }
}

fn fmt_budget(budget: &Budget, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, ",budget={}", budget.mean)?;
    for (arm, cost) in &budget.costs {
        write!(f, ",cost:{arm}={cost}")?;
    }
    Ok(())
}

fn fmt_bounds(
    bounds: &[ShareBound],
    mut separator: char,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    for bound in bounds {
        if bound.least > 0.0 {
            write!(f, "{separator}least:{}={}", bound.pattern, bound.least)?;
            separator = ',';
        }
        if bound.most < 1.0 {
            write!(f, "{separator}most:{}={}", bound.pattern, bound.most)?;
            separator = ',';
        }
    }
    Ok(())
}

fn fmt_weights(weights: &[(String, f64)], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if let [(arm, _)] = weights {
        return write!(f, "always:{arm}");
    }
    write!(f, "fixed")?;
    for (index, (arm, weight)) in weights.iter().enumerate() {
        let separator = if index == 0 { ':' } else { ',' };
        write!(f, "{separator}{arm}={weight}")?;
    }
    Ok(())
}

/// A learning policy: its own keys by `rule`, then those that all of them have.
fn learning(
    policy: &'static str,
    rest: &str,
    own: &str,
    rule: impl FnOnce(&mut Keys) -> Result<Rule, SpecError>,
) -> Result<PolicySpec, SpecError> {
    let mut keys = Keys::read(policy, rest)?;
    let rule = rule(&mut keys)?;
    let (floor, strength) = match rule {
        Rule::RandUcb { .. } => (RANDUCB_FLOOR, Strength::Auto),
        _ => (FLOOR, LAMBDA),
    };
    let window = match rule {
        Rule::Cover { .. } => COVER_WINDOW,
        _ => 0,
    };
    let common = keys.common(floor, strength, window)?;
    if common.is_logistic && matches!(rule, Rule::Bootstrap { .. }) {
        let needed = "ridge: a bootstrap resamples its sums";
        return Err(not_allowed("model", "logistic", needed));
    }
    keys.finish(&format!("{own}, {}", Common::KEYS))?;
    let Common {
        floor,
        strength,
        bounds,
        forgetting,
        budget,
        weighs_censoring,
        is_logistic,
        window,
    } = common;
    Ok(PolicySpec {
        rule,
        floor,
        strength,
        bounds,
        forgetting,
        budget,
        weighs_censoring,
        is_logistic,
        window,
    })
}

fn reg_cb(policy: &'static str, rest: &str, eliminates: bool) -> Result<PolicySpec, SpecError> {
    learning(policy, rest, "mellowness", |keys| {
        let mellowness = keys.number("mellowness", 0.01, &FACTOR)?;
        Ok(Rule::RegCb {
            mellowness,
            eliminates,
        })
    })
}

/// What a learning policy has if nothing else is said of it.
const FLOOR: f64 = 0.05;
const LAMBDA: Strength = Strength::Fixed(1.0);
const RANDUCB_FLOOR: f64 = 0.0005;
const COVER_WINDOW: u32 = 1_000;

/// Every key but `floor` is an arm.
fn fixed(rest: &str) -> Result<PolicySpec, SpecError> {
    let mut keys = Keys::read("fixed", rest)?;
    let floor = keys.number("floor", 0.0, &UNIT)?;
    let bounds = keys.bounds()?;
    let mut weights = Vec::new();
    for (arm, value) in keys.rest() {
        let weight = number(&arm, &value, &WEIGHT)?;
        if weight > 0.0 {
            weights.push((arm, weight));
        }
    }
    match weights.as_mut_slice() {
        [] => return Err(SpecError::NoArm("fixed")),
        // A single weight is `always`, whatever its size.
        [(_, only)] => *only = 1.0,
        _ => {}
    }
    Ok(without_learning(Rule::Fixed { weights }, floor, bounds))
}

fn always(rest: &str) -> Result<PolicySpec, SpecError> {
    let (arm, rest) = rest.split_once(',').unwrap_or((rest, ""));
    let arm = arm.trim();
    if arm.is_empty() || arm.contains('=') {
        return Err(SpecError::NoArm("always"));
    }
    let mut keys = Keys::read("always", rest)?;
    let floor = keys.number("floor", 0.0, &UNIT)?;
    let bounds = keys.bounds()?;
    keys.finish("an arm and floor")?;
    let weights = vec![(arm.to_owned(), 1.0)];
    Ok(without_learning(Rule::Fixed { weights }, floor, bounds))
}

fn without_learning(rule: Rule, floor: f64, bounds: Vec<ShareBound>) -> PolicySpec {
    PolicySpec {
        rule,
        floor,
        strength: LAMBDA,
        bounds,
        forgetting: Forgetting::default(),
        budget: None,
        weighs_censoring: false,
        is_logistic: false,
        window: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_and_their_canonical_form() {
        for (text, canonical) in [
            ("uniform", "uniform"),
            (
                "fixed:ngram=0.7,file=0.3",
                "fixed:file=0.3,ngram=0.7,floor=0",
            ),
            ("fixed: a=1 , b=0", "always:a,floor=0"),
            ("always:qwen:1.5b@2", "always:qwen:1.5b@2,floor=0"),
            ("always:a,floor=0.1", "always:a,floor=0.1"),
            (
                "epsilon-greedy",
                "epsilon-greedy:epsilon=0.1,floor=0.05,lambda=1",
            ),
            (
                "softmax:temperature=2",
                "softmax:temperature=2,floor=0.05,lambda=1",
            ),
            (
                "linucb:lambda=0.5",
                "linucb:alpha=0.3,floor=0.05,lambda=0.5",
            ),
            (
                "lints:draws=8,scale=1",
                "lints:scale=1,draws=8,floor=0.05,lambda=1",
            ),
            (
                "squarecb:lambda=auto",
                "squarecb:gamma=10,floor=0.05,lambda=auto",
            ),
            ("randucb", "randucb:scale=1.3,floor=0.0005,lambda=auto"),
            (
                "regcb-opt:most:b@2=0.1,least:a=0.2,most:a=0.5,most:c=1",
                "regcb-opt:mellowness=0.01,floor=0.05,lambda=1,least:a=0.2,most:a=0.5,most:b@2=0.1",
            ),
            (
                "bootstrap:replicates=4",
                "bootstrap:replicates=4,floor=0.05,lambda=1",
            ),
            (
                "squarecb:change=0.01,halflife:b@2=90m,halflife=7d,ipcw=client",
                "squarecb:gamma=10,floor=0.05,lambda=1,halflife=7days,halflife:b@2=1h30m,change=0.01,ipcw=client",
            ),
            (
                "linucb:cost:b=0,cost:a=2,budget=0.5,most:b=0.2",
                "linucb:alpha=0.3,floor=0.05,lambda=1,budget=0.5,cost:a=2,cost:b=0,most:b=0.2",
            ),
            (
                "cover:window=50,psi=1",
                "cover:size=4,psi=1,floor=0.05,lambda=1,window=50",
            ),
            (
                "linucb:halflife=7d,model=logistic",
                "linucb:alpha=0.3,floor=0.05,lambda=1,model=logistic,window=2000,halflife=7days",
            ),
            (
                "squarecb:model=ridge",
                "squarecb:gamma=10,floor=0.05,lambda=1",
            ),
            ("uniform:most:a@2=0.1", "uniform:most:a@2=0.1"),
            ("always:a,most:b=0.1", "always:a,floor=0,most:b=0.1"),
            (" squarecb:floor=-0 ", "squarecb:gamma=10,floor=0,lambda=1"),
        ] {
            let spec: PolicySpec = text.parse().unwrap();
            assert_eq!(spec.to_string(), canonical);
            assert_eq!(canonical.parse(), Ok(spec));
        }
        assert_eq!("randucb".parse(), Ok(PolicySpec::default()));
    }

    #[test]
    fn refusals_say_what_is_known() {
        for (text, message) in [
            ("", "unknown policy \"\"; known are uniform, fixed, always"),
            (
                "ucb",
                "unknown policy \"ucb\"; known are uniform, fixed, always",
            ),
            (
                "squarecb:mu=1",
                "knows no key \"mu\"; it knows gamma, floor, lambda",
            ),
            (
                "uniform:floor=0.1",
                "policy uniform knows no key \"floor\"; it knows least:ARM",
            ),
            ("always:a,lambda=1", "it knows an arm and floor"),
            ("always", "policy always names no arm"),
            ("always:floor=0.1", "policy always names no arm"),
            ("fixed", "policy fixed names no arm"),
            ("fixed:a=0", "policy fixed names no arm"),
            ("fixed:a=x", "a is \"x\", but must be a weight"),
            ("fixed:a=-1", "a is \"-1\", but must be a weight"),
            (
                "lints:draws=0",
                "draws is \"0\", but must be a whole number in [1, 4096]",
            ),
            ("lints:draws=1e3", "draws is \"1e3\""),
            (
                "softmax:temperature=0",
                "temperature is \"0\", but must be a number in",
            ),
            (
                "randucb:lambda=none",
                "lambda is \"none\", but must be auto or a number in",
            ),
            ("squarecb:gamma=nan", "gamma is \"nan\""),
            ("squarecb:gamma=inf", "gamma is \"inf\""),
            (
                "squarecb:floor=1.5",
                "floor is \"1.5\", but must be a number in [0, 1]",
            ),
            ("squarecb:gamma=1,gamma=2", "\"gamma\" is given twice"),
            (
                "squarecb:most:a=2",
                "most:a is \"2\", but must be a number in [0, 1]",
            ),
            (
                "squarecb:least:a=0.5,most:a=0.2",
                "a least share that is not above the greatest",
            ),
            (
                "squarecb:halflife=7",
                "halflife is \"7\", but must be a time such as 7d",
            ),
            (
                "squarecb:halflife:a=soon",
                "halflife:a is \"soon\", but must be a time",
            ),
            (
                "squarecb:change=0.01",
                "change is \"0.01\", but must be given with a half-life",
            ),
            (
                "squarecb:change=1,halflife=1d",
                "change is \"1\", but must be a level",
            ),
            (
                "squarecb:budget=1",
                "budget is \"1\", but must be given with what arms cost",
            ),
            (
                "squarecb:cost:a=1",
                "cost:a is \"1\", but must be given with a budget",
            ),
            (
                "squarecb:cost:a=-1,budget=1",
                "cost:a is \"-1\", but must be a weight",
            ),
            ("squarecb:ipcw=user", "ipcw is \"user\", but must be client"),
            (
                "uniform:halflife=1d",
                "policy uniform knows no key \"halflife\"",
            ),
            ("bootstrap:replicates=65", "a whole number in [1, 64]"),
            ("squarecb:most:=0.2", "knows no key \"most:\""),
            ("squarecb:gamma", "\"gamma\" is not of the form key=value"),
            ("squarecb:gamma=1,", "\"\" is not of the form key=value"),
        ] {
            let error = text.parse::<PolicySpec>().unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn live_traffic_needs_a_floor() {
        for (text, live) in [
            ("uniform", true),
            ("squarecb", true),
            ("fixed:a=1,b=1,floor=0.01", true),
            ("fixed:a=1,b=1", false),
            ("always:a", false),
            ("squarecb:floor=0", false),
        ] {
            let spec: PolicySpec = text.parse().unwrap();
            assert_eq!(spec.check_live().is_ok(), live, "{text}");
        }
    }

    #[test]
    fn a_spec_is_a_string_in_json() {
        let spec = PolicySpec::default();
        let json = serde_json::to_string(&spec).unwrap();
        assert_eq!(json, "\"randucb:scale=1.3,floor=0.0005,lambda=auto\"");
        assert_eq!(serde_json::from_str::<PolicySpec>(&json).unwrap(), spec);
        assert!(serde_json::from_str::<PolicySpec>("\"squarecb:x=1\"").is_err());
    }

    proptest! {
        #[test]
        fn any_parameters_come_back_from_the_text(
            epsilon in 0.0_f64..=1.0,
            floor in 0.0_f64..=1.0,
            lambda in 1e-6_f64..=1e6,
            half_life in 4_i64..10_000_000_000,
        ) {
            let rule = Rule::EpsilonGreedy { epsilon };
            let strength = Strength::Fixed(lambda);
            let bounds = vec![ShareBound { pattern: "a".to_owned(), least: 0.5 * epsilon, most: epsilon }];
            let bounds = if epsilon > 0.0 && epsilon < 1.0 { bounds } else { Vec::new() };
            let forgetting = Forgetting {
                half_life_ms: Some(half_life),
                arms: [("a@1".to_owned(), 2 * half_life)].into(),
                change: Some(1e-12 + 0.4 * epsilon),
            };
            let costs = vec![("a".to_owned(), lambda), ("b@2".to_owned(), 0.0)];
            let budget = Some(Budget { mean: floor, costs });
            let weighs_censoring = half_life % 2 == 0;
            let spec = PolicySpec {
                rule, floor, strength, bounds, forgetting, budget, weighs_censoring,
                is_logistic: false, window: 0,
            };
            prop_assert_eq!(spec.to_string().parse(), Ok(spec));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "(fixed:|always:|lints:)?\\PC{0,40}") {
            if let Ok(spec) = text.parse::<PolicySpec>() {
                prop_assert_eq!(spec.to_string().parse(), Ok(spec));
            }
        }
    }
}
