use serde::{Deserialize, Serialize};

/// The configuration file as it is written: every key optional, unknown keys refused. What each key
/// means stands beside it in `config/echo.toml`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "config/echo.toml documents every key, and a test compares the two"
)]
pub struct ConfigFile {
    pub server: ServerFile,
    pub log: LogFile,
    pub policy: PolicyFile,
    pub gate: GateFile,
    pub admin: AdminFile,
    pub control: ControlFile,
    pub reward: RewardFile,
    pub embedded: EmbeddedFile,
    pub passthrough: PassthroughFile,
    pub arm_defaults: ArmDefaultsFile,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arm: Vec<ArmFile>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<KeyFile>,
}

/// Declares a section of the file with its defaults beside the keys.
macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($key:ident: $kind:ty = $default:expr,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        #[expect(missing_docs, reason = "config/echo.toml documents every key, and a test compares the two")]
        pub struct $name { $(pub $key: $kind,)* }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $default,)* }
            }
        }
    };
}

section! {
    /// `[server]`: where to listen, and the bounds of a request.
    ServerFile {
        listen: String = "127.0.0.1:4141".to_owned(),
        origins: Vec<String> = Vec::new(),
        connections: usize = 1024,
        body_bytes: usize = 2_097_152,
        header_bytes: usize = 32_768,
        header_ms: u64 = 10_000,
        body_ms: u64 = 10_000,
        drain_ms: u64 = 10_000,
        max_tokens: u32 = 64,
        max_tokens_limit: u32 = 1024,
        alternatives_limit: u32 = 8,
    }
}

section! {
    /// `[log]`: the experience log.
    LogFile {
        ack_ms: u64 = 250,
        queue_records: usize = 16_384,
        queue_bytes: usize = 67_108_864,
        seal_records: u64 = 50_000,
        seal_s: u64 = 300,
        prefix_chars: usize = 4096,
        suffix_chars: usize = 1024,
    }
}

section! {
    /// `[policy]`: the policy and its learning.
    PolicyFile {
        spec: String = "randucb:floor=0.01".to_owned(),
        seed: u64 = 1,
        publish_ms: u64 = 500,
        snapshot_s: u64 = 30,
        pending: usize = 65_536,
        sign_key_env: String = String::new(),
    }
}

section! {
    /// `[gate]`: who may take over from the policy that runs.
    GateFile {
        every_s: u64 = 0,
        candidates: Vec<String> = Vec::new(),
        trained_spec: String = "epsilon-greedy:epsilon=0,floor=0.01".to_owned(),
        margin: f64 = 0.0,
        arm_margin: f64 = 0.0,
        trial_share: f64 = 0.1,
        share_most: f64 = 1.0,
        share_least: f64 = 0.0,
        split: f64 = 0.5,
        level: f64 = 0.95,
    }
}

section! {
    /// `[admin]`: where an operator is listened to.
    AdminFile {
        socket: bool = true,
        listen: String = String::new(),
        token_env: String = String::new(),
        body_bytes: usize = 67_108_864,
    }
}

section! {
    /// `[control]`: the users outside of learning.
    ControlFile {
        share: f64 = 0.0,
        salt: String = "control-1".to_owned(),
        pinned: Vec<String> = Vec::new(),
    }
}

section! {
    /// `[reward]`: what an outcome is worth, and how long it is waited for.
    RewardFile {
        scorer: String = "retained@1".to_owned(),
        latency_cost: f64 = 0.0,
        quiet_ms: i64 = 10_000,
        longest_ms: i64 = 300_000,
        open_per_user: usize = 64,
        users: usize = 100_000,
    }
}

section! {
    /// `[embedded]`: the embedded models.
    EmbeddedFile {
        corpus: Vec<String> = Vec::new(),
        corpus_bytes: usize = 24_000_000,
        concurrency: usize = 16,
    }
}

section! {
    /// `[passthrough]`: the upstream of requests that are none of Echo's.
    PassthroughFile {
        url: String = String::new(),
        key_env: String = String::new(),
        forward_authorization: bool = false,
        connect_ms: u64 = 1000,
        answer_ms: u64 = 60_000,
        hops_limit: usize = 4,
    }
}

section! {
    /// `[arm_defaults]`: bounds of every arm that does not set its own.
    ArmDefaultsFile {
        connect_ms: u64 = 1000,
        first_byte_ms: u64 = 5000,
        idle_ms: u64 = 5000,
        total_ms: u64 = 30_000,
        concurrency: usize = 64,
        breaker_failures: u32 = 5,
        breaker_open_ms: u64 = 10_000,
    }
}

/// `[[arm]]`: one candidate completion model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/echo.toml documents every key")]
pub struct ArmFile {
    pub name: String,
    #[serde(default = "first_version")]
    pub version: u32,
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub corpus: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_env: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breaker_failures: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breaker_open_ms: Option<u64>,
}

/// `[[key]]`: one API key, by its digest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/echo.toml documents every key")]
pub struct KeyFile {
    pub name: String,
    pub tenant: String,
    pub sha256: String,
}

fn first_version() -> u32 {
    1
}
