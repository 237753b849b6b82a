//! `replay --with-arm`: a model that was never deployed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use echo_experience::{LogError, LogReader, Record};
use echo_reward::Scoring;
use echo_sim::{Counterfactual, Level, MeanValue, counterfactual};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::arm::{Arm, ArmKind, ArmSettings, Secret};
use crate::cli::Outcome;
use crate::config::Config;
use crate::corpus::Corpus;
use crate::embedded;
use crate::fim::FimTemplate;
use crate::project::Projects;
use crate::table::table;
use crate::upstream::Clients;
use crate::what_if::{LoggedArms, WhatIf, WhatIfSettings, ask};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Ask a model that was never deployed in the log's contexts, and estimate what it would have earned: the
    /// base of an API such as `http://127.0.0.1:8000/v1`, or embedded:NAME
    #[arg(id = "with_arm", long = "with-arm", value_name = "URL", conflicts_with_all = ["baseline", "verify", "compare", "rollout", "input"])]
    arm: Option<String>,
    /// How the model at --with-arm is spoken to: openai, llama-cpp or ollama
    #[arg(
        id = "with_kind",
        long = "with-kind",
        value_name = "KIND",
        default_value = "openai",
        requires = "with_arm"
    )]
    kind: ArmKind,
    /// The name by which the server knows the model
    #[arg(
        id = "with_model",
        long = "with-model",
        value_name = "NAME",
        default_value = "",
        requires = "with_arm"
    )]
    model: String,
    /// The template that renders the prompt
    #[arg(
        id = "with_template",
        long = "with-template",
        value_name = "NAME",
        requires = "with_arm"
    )]
    template: Option<FimTemplate>,
    /// The environment variable that holds the server's key
    #[arg(
        id = "with_key_env",
        long = "with-key-env",
        value_name = "NAME",
        requires = "with_arm"
    )]
    key_env: Option<String>,
    /// Folders of source code for an embedded model, in place of cargo's registry; may be repeated
    #[arg(
        id = "with_corpus",
        long = "with-corpus",
        value_name = "DIR",
        requires = "with_arm"
    )]
    corpus: Vec<PathBuf>,
    /// The configuration of the server that wrote the log: its arms are asked as well, so that it is known how
    /// likely each text was to be shown [default: the embedded models, if these wrote it]
    #[arg(
        id = "with_logged",
        long = "with-logged",
        value_name = "FILE",
        requires = "with_arm"
    )]
    logged: Option<PathBuf>,
    /// Requests at a time
    #[arg(
        id = "with_concurrency",
        long = "with-concurrency",
        value_name = "COUNT",
        default_value_t = 4,
        requires = "with_arm"
    )]
    concurrency: usize,
    /// Upper bound of each answer, in tokens [default: what the log shows of the client's, else 64]
    #[arg(
        id = "with_max_tokens",
        long = "with-max-tokens",
        value_name = "COUNT",
        requires = "with_arm"
    )]
    max_tokens: Option<u32>,
    /// Decisions to ask about at the most, the newest
    #[arg(
        id = "with_rows",
        long = "with-rows",
        value_name = "ROWS",
        default_value_t = 20_000,
        requires = "with_arm"
    )]
    rows: usize,
    /// Where the answers are kept, so that a run that was broken off goes on [default: in the user's cache
    /// folder]
    #[arg(
        id = "with_cache",
        long = "with-cache",
        value_name = "FILE",
        requires = "with_arm"
    )]
    cache: Option<PathBuf>,
}

impl Arguments {
    pub(super) fn is_asked(&self) -> bool {
        self.arm.is_some()
    }

    fn settings(&self, scoring: Scoring, include_control: bool) -> WhatIfSettings {
        let is_embedded = self.name().starts_with(EMBEDDED);
        WhatIfSettings {
            scoring,
            // An embedded model learns of a user's project from one request for the next.
            concurrency: if is_embedded { 1 } else { self.concurrency },
            max_tokens: self.max_tokens,
            rows_most: self.rows,
            cache: (!is_embedded).then(|| self.cache()),
            include_control,
        }
    }

    fn name(&self) -> &str {
        self.arm.as_deref().unwrap_or_default()
    }

    fn cache(&self) -> PathBuf {
        if let Some(file) = &self.cache {
            return file.clone();
        }
        let template = self.template.as_ref().map(ToString::to_string);
        let identity = json!([self.arm, self.kind.as_str(), self.model, template]);
        let digest = Sha256::digest(identity.to_string());
        let name = digest
            .iter()
            .take(8)
            .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        let base = dirs::cache_dir().unwrap_or_else(std::env::temp_dir);
        base.join("echo-proxy")
            .join("with-arm")
            .join(format!("{name}.jsonl"))
    }

    /// The model, the arms that wrote the log, and what of users' projects they are shown.
    fn cast(&self, path: &Path, bar: &ProgressBar) -> Result<Cast, Box<dyn std::error::Error>> {
        let config = Config::load(self.logged.as_deref())?;
        let name = self.name().strip_prefix(EMBEDDED);
        let is_default = self.logged.is_none();
        let mut cast = Cast {
            arm: None,
            logged: LoggedArms::new(),
            projects: Projects::none(),
        };
        if name.is_some()
            || (is_default && are_embedded(path)?)
            || config.needs_embedded() && !is_default
        {
            let folders = if self.corpus.is_empty() {
                config.corpus()
            } else {
                self.corpus.clone()
            };
            let corpus = Corpus::find(&folders)?;
            let (bytes, folder) = (config.embedded.corpus_bytes, embedded::cache_folder());
            let trained = embedded::load_or_train(&corpus, bytes, &folder, &mut |_| bar.tick());
            let (models, cache) = embedded::models(trained);
            cast.projects = Projects::new(cache);
            if let Some(name) = name {
                let known: Vec<&str> = models.keys().copied().collect();
                let model = models.get(name).ok_or_else(|| {
                    format!(
                        "{name:?} is none of the embedded models {}",
                        known.join(", ")
                    )
                })?;
                let settings = ArmSettings::new(name, ArmKind::Embedded);
                cast.arm = Some(Arm::embedded(settings, Arc::clone(model)));
            }
            for (kind, model) in &models {
                let settings = ArmSettings::new(*kind, ArmKind::Embedded);
                cast.add(Arm::embedded(settings, Arc::clone(model)));
            }
        }
        for settings in &config.arms {
            if settings.kind != ArmKind::Embedded {
                cast.add(Arm::new(settings.clone(), &Clients::new())?);
            }
        }
        if cast.arm.is_none() {
            let mut settings = ArmSettings::new("with-arm", self.kind);
            self.name().clone_into(&mut settings.url);
            self.model.clone_into(&mut settings.model);
            settings.template.clone_from(&self.template);
            settings.concurrency = self.concurrency.max(1);
            if let Some(name) = &self.key_env {
                let key = std::env::var(name)
                    .map_err(|_| format!("the environment variable {name} is not set"))?;
                settings.key = Some(Secret::new(key));
            }
            cast.arm = Some(Arm::new(settings, &Clients::new())?);
        }
        Ok(cast)
    }
}

/// Who is asked.
struct Cast {
    arm: Option<Arm>,
    logged: LoggedArms,
    projects: Projects,
}

impl Cast {
    fn add(&mut self, arm: Arm) {
        self.logged.insert(arm.id().to_owned(), arm);
    }
}

/// Whether every arm of the log's first decision has the name of an embedded model, in its first version.
fn are_embedded(path: &Path) -> Result<bool, LogError> {
    let mut reader = LogReader::open(path)?;
    for entry in reader.entries() {
        if let Record::Decision(decision) = entry?.record {
            let is_embedded = |arm: &String| {
                arm.strip_suffix("@1")
                    .is_some_and(|name| EMBEDDED_MODELS.contains(&name))
            };
            return Ok(decision.arms.iter().all(is_embedded));
        }
    }
    Ok(false)
}

const EMBEDDED: &str = "embedded:";

/// The embedded models' names.
const EMBEDDED_MODELS: [&str; 5] = ["ngram", "file", "copy", "project", "blend"];

pub(super) fn run(
    path: &Path,
    arguments: &Arguments,
    scoring: Scoring,
    include_control: bool,
    level: Level,
    json: bool,
) -> Outcome {
    let settings = arguments.settings(scoring, include_control);
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("asking {wide_bar} {pos}/{len} {eta:>4}") {
        bar.set_style(style);
    }
    let Cast {
        arm,
        logged,
        projects,
    } = arguments.cast(path, &bar)?;
    let arm = arm.ok_or("there is no model to ask")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let progress = |done, of| {
        bar.set_length(of);
        bar.set_position(done);
    };
    let asked = runtime.block_on(ask(path, &arm, &logged, &projects, &settings, &progress));
    bar.finish_and_clear();
    let asked = asked?;
    if asked.rows.is_empty() {
        let reasons = asked
            .left_out
            .iter()
            .map(|(why, count)| format!("{count} {why}"));
        return Err(format!(
            "no decision of the log can be asked about: {}",
            reasons.collect::<Vec<_>>().join(", ")
        )
        .into());
    }
    let found = counterfactual(&asked.rows, level)?;
    let notes = notes(&asked, &found);
    if json {
        let told = json!({
            "model": arguments.arm, "scorer": scoring.to_string(), "asked": asked.asked, "known": asked.known,
            "asked_again": asked.asked_again, "said_again": asked.said_again,
            "left_out": asked.left_out, "estimate": found, "notes": notes,
        });
        println!("{told}");
    } else {
        print(arguments.name(), &asked, &found, &notes);
    }
    Ok(ExitCode::SUCCESS)
}

fn print(name: &str, asked: &WhatIf, found: &Counterfactual, notes: &[String]) {
    println!("model    {name}");
    println!(
        "rows     {}, {} users; {} answers asked for, {} known",
        found.rows, found.users, asked.asked, asked.known
    );
    for (reason, count) in &asked.left_out {
        println!("         {count} left out: {reason}");
    }
    if asked.asked_again > 0 {
        println!(
            "arms     those that wrote the log say again what they said in {:.1} % of the rows",
            100.0 * asked.said_again as f64 / asked.asked_again as f64
        );
    }
    println!(
        "matches  {} ({:.0} effective), hardly ever shown in {:.1} % of the rows; the end is known of {}",
        found.matches,
        found.effective_matches,
        100.0 * found.unsupported_share,
        found.scored
    );
    let header = vec!["estimate", "value", "interval", "what it is"];
    let row = |name: &str, value: Option<MeanValue>, what: &str| {
        let shown = |value: MeanValue| {
            let interval = value.interval;
            (
                format!("{:.4}", value.value),
                format!("[{:.4}, {:.4}]", interval.lo, interval.hi),
            )
        };
        let (value, interval) = value.map_or(("-".to_owned(), "-".to_owned()), shown);
        vec![name.to_owned(), value, interval, what.to_owned()]
    };
    let rows = vec![
        row(
            "logged",
            Some(found.logged),
            "mean reward of what was shown",
        ),
        row(
            "kept",
            found.kept,
            "mean score against what users had in the end, where known: biased, a value only",
        ),
        row(
            "matched",
            found.matched,
            "mean reward where the very text was shown, weighted to stand for all",
        ),
        row("robust", found.robust, "scores foretell, matches correct"),
        row("robust - logged", found.difference, "paired by decision"),
    ];
    println!("\n{}\n", table(header, rows.into_iter()));
    for note in notes {
        println!("{note}");
    }
}

fn notes(asked: &WhatIf, found: &Counterfactual) -> Vec<String> {
    let mut notes = Vec::new();
    if asked.asked_again > 0 && asked.said_again < asked.asked_again / 100 * 99 {
        notes.push(format!(
            "The arms that wrote the log say something else now in {:.1} % of the rows: other models, other folders of code \
             (--with-corpus), or a temperature. The chances are off by as much.",
            100.0 * (1.0 - asked.said_again as f64 / asked.asked_again as f64)
        ));
    }
    if found.matched.is_none() {
        notes.push(format!(
            "The model's own texts were shown too seldom ({} matches, {:.0} effective; 30 are needed) to correct anything. \
             `kept` is what is left, and it is biased: users keep what they were shown.",
            found.matches, found.effective_matches
        ));
    } else if found.is_chance_known {
        notes.push(
            "The arms that wrote the log were asked as well: how likely each text was to be shown is known. `matched` and \
             `robust` are right wherever the text could have been shown, if the arms say again what they would have said then."
                .to_owned(),
        );
    } else {
        notes.push(
            "How likely each text was to be shown is foretold. `robust` is too high if arms agree more often when they are \
             right, as they do: name the server's configuration by --with-logged to have its arms asked as well."
                .to_owned(),
        );
    }
    if found.robust.is_some() && found.unsupported_share > 0.1 {
        notes.push(format!(
            "In {:.0} % of the rows its text was hardly ever shown: there the value rests on scores alone, which are too \
             low.",
            100.0 * found.unsupported_share
        ));
    }
    notes.push(
        "What this cannot tell: how users would have gone on writing after other proposals, and what waiting for this \
         model costs them. A trial with a small share can: `echo-proxy models add`."
            .to_owned(),
    );
    notes
}
