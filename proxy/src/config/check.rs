use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use echo_policy::{PolicySpec, SnapshotKey};
use echo_reward::{RewardError, Scoring};
use echo_sim::Level;

use super::file::{
    AdminFile, ArmDefaultsFile, ArmFile, ConfigFile, GateFile, KeyFile, PassthroughFile, RewardFile,
};
use super::{Admin, Candidate, Config, Gate};
use crate::arm::{ArmError, ArmKind, ArmSettings, BreakerSettings, Secret};
use crate::auth::{Key, Keys};
use crate::cross_origin;
use crate::fim::FimTemplate;

/// What is wrong with a configuration.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields are the values at fault")]
pub enum ConfigError {
    /// The file cannot be read.
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    /// It is no TOML of this form: an unknown key, a wrong type. The text gives line and column.
    Syntax(String),
    /// A key has a value outside of what it may be.
    Value {
        key: String,
        value: String,
        expected: String,
    },
    /// An arm needs a key that it lacks.
    ArmLacks { arm: String, key: &'static str },
    /// No arm is named, and the server has been started without the embedded models.
    NoArms,
    /// The HTTP client for `[passthrough]` cannot be made.
    NoClient,
    /// An arm's address or key cannot be used.
    Arm(ArmError),
    /// Two arms or two API keys have one name.
    Twice { what: &'static str, name: String },
    /// An address that others can reach needs API keys.
    KeysMissing(SocketAddr),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, source } => {
                write!(f, "cannot read {}: {source}", path.display())
            }
            Self::Syntax(message) => f.write_str(message.trim_end()),
            Self::Value {
                key,
                value,
                expected,
            } => {
                write!(f, "{key} = {value}: expected {expected}")
            }
            Self::ArmLacks { arm, key } => write!(f, "arm {arm:?} needs the key {key}"),
            Self::NoArms => f.write_str(
                "no arm is configured, and the embedded models are loaded at a start only: \
                 name an [[arm]], or start again",
            ),
            Self::NoClient => f.write_str("passthrough: no HTTP client can be made (TLS)"),
            Self::Arm(error) => error.fmt(f),
            Self::Twice { what, name } => write!(f, "{what} {name:?} stands there twice"),
            Self::KeysMissing(address) => write!(
                f,
                "{address} can be reached by others, so at least one [[key]] is needed: \
                 `echo-proxy key NAME` makes one"
            ),
        }
    }
}

impl std::error::Error for ConfigError {}

type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Checks every value of a file.
pub(super) fn check(
    file: ConfigFile,
    sha256: String,
    environment: Environment<'_>,
) -> Result<Config, ConfigError> {
    let listen = parsed(
        "server.listen",
        &file.server.listen,
        "an address with a port, like 127.0.0.1:4141",
    )?;
    check_bounds(&file)?;
    let policy: PolicySpec = file
        .policy
        .spec
        .parse()
        .map_err(|e| value("policy.spec", &file.policy.spec, e))?;
    policy
        .check_live()
        .map_err(|e| value("policy.spec", &file.policy.spec, e))?;
    let scoring = scoring(&file.reward)?;
    let arms = file
        .arm
        .iter()
        .map(|arm| arm_settings(arm, &file.arm_defaults, environment))
        .collect::<Result<Vec<_>, _>>()?;
    once("arm", arms.iter().map(|arm| arm.name.as_str()))?;
    once("key", file.key.iter().map(|key| key.name.as_str()))?;
    let keys = file
        .key
        .iter()
        .map(api_key)
        .collect::<Result<Vec<_>, _>>()?;
    let passthrough_key = passthrough_key(&file.passthrough, environment)?;
    let sign_key = sign_key(&file.policy.sign_key_env, environment)?;
    let gate = gate(file.gate)?;
    let admin = admin(&file.admin, environment)?;
    let config = Config {
        listen,
        keys: Keys::new(keys),
        server: file.server,
        log: file.log,
        policy,
        learning: file.policy,
        sign_key,
        gate,
        admin,
        control: file.control,
        scoring,
        reward: file.reward,
        embedded: file.embedded,
        passthrough: file.passthrough,
        passthrough_key,
        arms,
        arm_defaults: file.arm_defaults,
        sha256,
    };
    config.check_listen(listen)?;
    Ok(config)
}

fn scoring(reward: &RewardFile) -> Result<Scoring, ConfigError> {
    let scorer = reward
        .scorer
        .parse()
        .map_err(|e| value("reward.scorer", &reward.scorer, e))?;
    Scoring::by_measures(scorer, reward.latency_cost).map_err(|error| match error {
        RewardError::LatencyCost(cost) => {
            let expected = "a number from 0 up";
            value("reward.latency_cost", &cost, expected)
        }
        other => value("reward.scorer", &reward.scorer, other),
    })
}

fn check_bounds(file: &ConfigFile) -> Result<(), ConfigError> {
    let positive: [(&str, usize); 10] = [
        ("server.connections", file.server.connections),
        ("server.body_bytes", file.server.body_bytes),
        ("server.header_bytes", file.server.header_bytes),
        ("server.max_tokens", file.server.max_tokens as usize),
        (
            "server.alternatives_limit",
            file.server.alternatives_limit as usize,
        ),
        ("log.queue_records", file.log.queue_records),
        ("policy.pending", file.policy.pending),
        ("reward.open_per_user", file.reward.open_per_user),
        ("reward.users", file.reward.users),
        ("embedded.concurrency", file.embedded.concurrency),
    ];
    for (key, number) in positive {
        if number == 0 {
            return Err(value(key, number, "at least 1"));
        }
    }
    let origins = &file.server.origins;
    if let Some(origin) = origins
        .iter()
        .find(|origin| !cross_origin::is_origin(origin))
    {
        let expected = "an origin, such as \"https://vscode.dev\", or \"*\"";
        return Err(value("server.origins", origin, expected));
    }
    if file.server.header_bytes < HEADER_BYTES_LEAST {
        return Err(value(
            "server.header_bytes",
            file.server.header_bytes,
            format!("at least {HEADER_BYTES_LEAST}"),
        ));
    }
    if file.server.max_tokens > file.server.max_tokens_limit {
        return Err(value(
            "server.max_tokens",
            file.server.max_tokens,
            "at most server.max_tokens_limit",
        ));
    }
    if !(0.0..1.0).contains(&file.control.share) {
        return Err(value(
            "control.share",
            file.control.share,
            "a share in [0, 1)",
        ));
    }
    if file.reward.quiet_ms <= 0 || file.reward.longest_ms < file.reward.quiet_ms {
        return Err(value(
            "reward.longest_ms",
            file.reward.longest_ms,
            "at least reward.quiet_ms, which is above 0",
        ));
    }
    Ok(())
}

/// hyper refuses to read headers into less.
const HEADER_BYTES_LEAST: usize = 8192;

pub(super) fn arm_settings(
    arm: &ArmFile,
    defaults: &ArmDefaultsFile,
    environment: Environment<'_>,
) -> Result<ArmSettings, ConfigError> {
    let key = |key: &str| format!("arm {:?}: {key}", arm.name);
    let named = arm
        .name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if arm.name.is_empty() || !named || arm.name == ROUTED {
        return Err(value(
            "arm.name",
            &arm.name,
            "letters, digits, '-', '_' and '.', and not the name \"echo\"",
        ));
    }
    let kind: ArmKind = arm
        .kind
        .parse()
        .map_err(|e| value(&key("kind"), &arm.kind, e))?;
    let mut settings = ArmSettings::new(&arm.name, kind);
    settings.version = arm.version;
    settings.url = match (kind, &arm.url) {
        (ArmKind::Embedded, _) => String::new(),
        (_, None) => {
            return Err(ConfigError::ArmLacks {
                arm: arm.name.clone(),
                key: "url",
            });
        }
        (_, Some(url)) => checked_url(&key("url"), url)?,
    };
    settings.corpus = arm.corpus.iter().map(PathBuf::from).collect();
    settings.model = arm.model.clone().unwrap_or_else(|| arm.name.clone());
    settings.template = match &arm.template {
        None => None,
        Some(name) => Some(
            name.parse::<FimTemplate>()
                .map_err(|e| value(&key("template"), name, e))?,
        ),
    };
    settings.key = secret(arm, &key, environment)?;
    settings.max_tokens = arm.max_tokens;
    settings.connect_ms = arm.connect_ms.unwrap_or(defaults.connect_ms);
    settings.first_byte_ms = arm.first_byte_ms.unwrap_or(defaults.first_byte_ms);
    settings.idle_ms = arm.idle_ms.unwrap_or(defaults.idle_ms);
    settings.total_ms = arm.total_ms.unwrap_or(defaults.total_ms);
    settings.concurrency = arm.concurrency.unwrap_or(defaults.concurrency);
    settings.breaker = BreakerSettings {
        failures: arm.breaker_failures.unwrap_or(defaults.breaker_failures),
        open_ms: arm.breaker_open_ms.unwrap_or(defaults.breaker_open_ms),
        ..settings.breaker
    };
    if settings.concurrency == 0 {
        return Err(value(&key("concurrency"), 0, "at least 1"));
    }
    Ok(settings)
}

/// Finds the key that snapshots are signed with.
fn sign_key(name: &str, environment: Environment<'_>) -> Result<Option<SnapshotKey>, ConfigError> {
    if name.is_empty() {
        return Ok(None);
    }
    let key = "policy.sign_key_env";
    let text = environment(name).ok_or_else(|| value(key, name, "a variable that is set"))?;
    let least = SnapshotKey::LEAST_BYTES;
    let made = SnapshotKey::new(text.trim().as_bytes());
    made.map(Some)
        .ok_or_else(|| value(key, name, format!("a variable of at least {least} bytes")))
}

fn gate(file: GateFile) -> Result<Gate, ConfigError> {
    let live = |key: &str, text: &str| {
        let spec: PolicySpec = text.parse().map_err(|e| value(key, text, e))?;
        spec.check_live().map_err(|e| value(key, text, e))?;
        Ok(spec)
    };
    let candidate = |text: &String| match text.strip_prefix("train:") {
        Some(recipe) => {
            let recipe = recipe
                .parse()
                .map_err(|e| value("gate.candidates", text, e))?;
            Ok(Candidate::Trained(recipe))
        }
        None => live("gate.candidates", text).map(Candidate::Policy),
    };
    let shares = [
        (
            "gate.share_most",
            file.share_most,
            file.share_most > 0.0 && file.share_most <= 1.0,
        ),
        (
            "gate.share_least",
            file.share_least,
            (0.0..1.0).contains(&file.share_least),
        ),
        (
            "gate.trial_share",
            file.trial_share,
            file.trial_share > 0.0 && file.trial_share <= 1.0,
        ),
        (
            "gate.split",
            file.split,
            file.split > 0.0 && file.split < 1.0,
        ),
        (
            "gate.margin",
            file.margin,
            (0.0..=1.0).contains(&file.margin),
        ),
        (
            "gate.arm_margin",
            file.arm_margin,
            (0.0..=1.0).contains(&file.arm_margin),
        ),
    ];
    for (key, share, fits) in shares {
        if !fits {
            return Err(value(key, share, "a share between 0 and 1"));
        }
    }
    Ok(Gate {
        candidates: file
            .candidates
            .iter()
            .map(candidate)
            .collect::<Result<_, _>>()?,
        trained_spec: live("gate.trained_spec", &file.trained_spec)?,
        level: Level::new(file.level).map_err(|e| value("gate.level", file.level, e))?,
        file,
    })
}

fn admin(file: &AdminFile, environment: Environment<'_>) -> Result<Admin, ConfigError> {
    let (key, variable) = (
        "admin.token_env",
        "a variable that is set, which holds the token",
    );
    let token = match file.token_env.as_str() {
        "" => None,
        name => Some(environment(name).ok_or_else(|| value(key, name, variable))?),
    };
    let listen = match file.listen.as_str() {
        "" => None,
        text => Some(parsed(
            "admin.listen",
            text,
            "an address with a port, like 127.0.0.1:4142",
        )?),
    };
    if listen.is_some() && token.as_ref().is_none_or(|token| token.trim().is_empty()) {
        return Err(value(key, "\"\"", variable));
    }
    Ok(Admin {
        socket: file.socket,
        listen,
        token: token.map(|token| Secret::new(token.trim().to_owned())),
        body_bytes: file.body_bytes,
    })
}

/// Checks the address for unknown paths, and finds its key.
fn passthrough_key(
    file: &PassthroughFile,
    environment: Environment<'_>,
) -> Result<Option<Secret>, ConfigError> {
    if !file.url.is_empty() {
        checked_url("passthrough.url", &file.url)?;
    }
    if file.key_env.is_empty() {
        return Ok(None);
    }
    let key = "passthrough.key_env";
    if file.forward_authorization {
        let expected = "one of key_env and forward_authorization, not both";
        return Err(value(key, &file.key_env, expected));
    }
    let text = environment(&file.key_env)
        .ok_or_else(|| value(key, &file.key_env, "a variable that is set"))?;
    Ok(Some(Secret::new(text.trim().to_owned())))
}

/// The name of the virtual model whose requests are routed.
pub(crate) const ROUTED: &str = "echo";

fn checked_url(key: &str, url: &str) -> Result<String, ConfigError> {
    let expected = "http://HOST:PORT/PATH or https://..., without user or password in it";
    let parsed = reqwest::Url::parse(url).map_err(|_| value(key, url, expected))?;
    let web = matches!(parsed.scheme(), "http" | "https") && parsed.has_host();
    if !web || !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(value(
            key,
            "...",
            format!("{expected}; this one is {}", parsed.scheme()),
        ));
    }
    Ok(url.trim_end_matches('/').to_owned())
}

fn secret(
    arm: &ArmFile,
    key: &dyn Fn(&str) -> String,
    environment: Environment<'_>,
) -> Result<Option<Secret>, ConfigError> {
    let text = match (&arm.key_file, &arm.key_env) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            return Err(value(
                &key("key_file"),
                "...",
                "one of key_file and key_env, not both",
            ));
        }
        (Some(path), None) => {
            std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
                path: PathBuf::from(path),
                source,
            })?
        }
        (None, Some(name)) => environment(name)
            .ok_or_else(|| value(&key("key_env"), name, "a variable that is set"))?,
    };
    Ok(Some(Secret::new(text.trim().to_owned())))
}

fn api_key(key: &KeyFile) -> Result<Key, ConfigError> {
    Key::from_digest(&key.name, &key.tenant, &key.sha256).ok_or_else(|| {
        value(
            &format!("key {:?}: sha256", key.name),
            "...",
            "64 hexadecimal digits",
        )
    })
}

fn once<'a>(what: &'static str, names: impl Iterator<Item = &'a str>) -> Result<(), ConfigError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(ConfigError::Twice {
                what,
                name: name.to_owned(),
            });
        }
    }
    Ok(())
}

fn parsed<T: std::str::FromStr>(key: &str, text: &str, expected: &str) -> Result<T, ConfigError> {
    text.parse()
        .map_err(|_| value(key, format!("{text:?}"), expected))
}

fn value(key: &str, value: impl fmt::Display, expected: impl fmt::Display) -> ConfigError {
    ConfigError::Value {
        key: key.to_owned(),
        value: value.to_string(),
        expected: expected.to_string(),
    }
}
