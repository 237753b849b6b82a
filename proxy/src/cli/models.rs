//! The arms of a running server: listed, put on trial, promoted, retired, rolled back.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::Outcome;
use super::admin::{Answered, Operator};
use crate::table::table;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the arms and their standing
    List {
        #[command(flatten)]
        operator: Operator,
    },
    /// Put a new arm, or a new version of one, on trial: it gets a bounded share of the requests
    Add(Add),
    /// Put an arm on trial into the place of the versions before it, if the gate accepts it
    Publish {
        /// The arm, such as qwen@2
        arm: String,
        /// Pass by the gate
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        operator: Operator,
    },
    /// Ask an arm no more
    Retire {
        /// The arm, such as qwen@2
        arm: String,
        #[command(flatten)]
        operator: Operator,
    },
    /// Take the last promotion of a name back, or else its last retirement
    Rollback {
        /// The arm's name, such as qwen
        name: String,
        #[command(flatten)]
        operator: Operator,
    },
}

#[derive(Debug, Args)]
struct Add {
    /// The arm's name: that of a known one for a new version of it
    name: String,
    /// openai, llama-cpp, ollama or embedded
    #[arg(long)]
    kind: String,
    /// The base that the path of the API is added to
    #[arg(long)]
    url: Option<String>,
    /// The name that the upstream knows; for embedded, the kind of model
    #[arg(long)]
    model: Option<String>,
    /// A folder of source code that an embedded model is trained from; may be repeated
    #[arg(long, value_name = "DIR")]
    corpus: Vec<String>,
    /// The template that renders the prompt
    #[arg(long)]
    template: Option<String>,
    /// The environment variable of the server that holds the upstream's key
    #[arg(long, value_name = "NAME")]
    key_env: Option<String>,
    /// The version, in place of the next one
    #[arg(long)]
    version: Option<u32>,
    /// The greatest share of requests that it gets, in place of [gate] `trial_share`
    #[arg(long)]
    share: Option<f64>,
    #[command(flatten)]
    operator: Operator,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    match &arguments.action {
        Action::List { operator } => {
            list(&operator.get("/models")?, operator.json);
            Ok(ExitCode::SUCCESS)
        }
        Action::Add(add) => {
            let body = json!({"arm": add.arm(), "share": add.share});
            told(&add.operator, &add.operator.post("/models", &body)?)
        }
        Action::Publish {
            arm,
            force,
            operator,
        } => {
            let path = format!("/models/{arm}/publish");
            told(operator, &operator.post(&path, &json!({"force": force}))?)
        }
        Action::Retire { arm, operator } => told(
            operator,
            &operator.post(&format!("/models/{arm}/retire"), &json!({}))?,
        ),
        Action::Rollback { name, operator } => told(
            operator,
            &operator.post(&format!("/models/{name}/rollback"), &json!({}))?,
        ),
    }
}

impl Add {
    fn arm(&self) -> Value {
        let mut arm = Map::new();
        arm.insert("name".to_owned(), json!(self.name));
        arm.insert("kind".to_owned(), json!(self.kind));
        let texts = [
            ("url", &self.url),
            ("model", &self.model),
            ("template", &self.template),
            ("key_env", &self.key_env),
        ];
        for (key, text) in texts {
            if let Some(text) = text {
                arm.insert(key.to_owned(), json!(text));
            }
        }
        if !self.corpus.is_empty() {
            arm.insert("corpus".to_owned(), json!(self.corpus));
        }
        if let Some(version) = self.version {
            arm.insert("version".to_owned(), json!(version));
        }
        Value::Object(arm)
    }
}

fn list(models: &Value, json: bool) {
    if json {
        println!("{models}");
        return;
    }
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let rows = models["models"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|arm| {
            let share = arm["share_most"].as_f64();
            let available = if arm["available"] == true {
                "yes"
            } else {
                "no"
            };
            vec![
                text(&arm["arm"]),
                text(&arm["kind"]),
                text(&arm["model"]),
                text(&arm["standing"]),
                share.map_or("-".to_owned(), |share| format!("{:.1} %", 100.0 * share)),
                available.to_owned(),
            ]
        });
    let header = vec![
        "arm",
        "kind",
        "model",
        "standing",
        "share at most",
        "available",
    ];
    println!("{}", table(header, rows));
}

fn told(operator: &Operator, answered: &Answered) -> Outcome {
    if operator.json {
        println!("{}", answered.body);
    } else if answered.done {
        let text = |key: &str| answered.body[key].as_str().unwrap_or_default().to_owned();
        match &answered.body["arms"] {
            Value::Array(arms) => {
                let arms: Vec<&str> = arms.iter().filter_map(Value::as_str).collect();
                println!("{}: the arms are now {}", text("arm"), arms.join(", "));
            }
            _ => println!("{}: {}", text("arm"), text("standing")),
        }
    }
    if answered.done {
        return Ok(ExitCode::SUCCESS);
    }
    if operator.json {
        return Ok(ExitCode::FAILURE);
    }
    Err(answered.message().into())
}
