use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::signal::unix::{SignalKind, signal};

use super::Outcome;
use crate::config::Config;
use crate::serve::{Server, Settings, default_data_dir};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The configuration file; without one, every default holds
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address to listen on, in place of the configured one
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Folder of the experience log and the policy [default: echo-proxy in the user's data folder]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// A folder of source code to train the embedded models from, in place of cargo's registry; may be repeated
    #[arg(long, value_name = "DIR")]
    corpus: Vec<PathBuf>,
    /// Seed of every draw, in place of the configured one
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Run the server's clock this many times faster, for simulated editors
    #[arg(long, hide = true, default_value_t = 1.0)]
    pace: f64,
}

pub(super) fn run(arguments: Arguments) -> Outcome {
    let mut config = Config::load(arguments.config.as_deref())?;
    if !arguments.corpus.is_empty() {
        config.embedded.corpus = arguments
            .corpus
            .iter()
            .map(|path| path.to_string_lossy().into_owned())
            .collect();
    }
    if let Some(seed) = arguments.seed {
        config.learning.seed = seed;
    }
    let settings = Settings {
        listen: arguments.listen.unwrap_or(config.listen),
        data_dir: arguments.data_dir.unwrap_or_else(default_data_dir),
        config_file: arguments.config,
        corpus: None,
        pace: arguments.pace,
        config,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(serve(settings));
    // Whoever still reads the log for the gate need not finish.
    runtime.shutdown_background();
    outcome
}

async fn serve(settings: Settings) -> Outcome {
    // Taken first: a signal during the training must not be lost.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let data_dir = settings.data_dir.clone();
    let server = tokio::select! {
        started = start(settings) => Arc::new(started?),
        _ = terminate.recv() => return Ok(ExitCode::SUCCESS),
        _ = interrupt.recv() => return Ok(ExitCode::SUCCESS),
    };
    announce(&server, &data_dir);
    loop {
        tokio::select! {
            _ = hangup.recv() => match server.reload() {
                Ok(()) => tracing::info!("the configuration was read again"),
                Err(error) => tracing::error!(%error, "the old configuration stays"),
            },
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    tracing::info!("stopping: requests in flight are answered first");
    let server = Arc::into_inner(server).expect("nobody else holds the server");
    tokio::select! {
        () = server.stop() => Ok(ExitCode::SUCCESS),
        _ = terminate.recv() => give_up(),
        _ = interrupt.recv() => give_up(),
    }
}

/// A second signal ends the process at once; the log is one that survives it.
fn give_up() -> ! {
    std::process::exit(1)
}

async fn start(settings: Settings) -> Result<Server, crate::serve::StartError> {
    let bar = training_bar();
    let server = Server::start(settings, &mut |share| show(&bar, share)).await;
    bar.finish_and_clear();
    server
}

/// The progress bar for training the embedded models; it shows itself with the first share.
pub(super) fn training_bar() -> ProgressBar {
    let style = ProgressStyle::with_template(
        "training the embedded models {wide_bar} {percent:>3} % {eta:>4}",
    )
    .expect("the template is valid");
    ProgressBar::new(1000).with_style(style)
}

/// Shows a share in [0, 1] of a piece of work.
pub(super) fn show(bar: &ProgressBar, share: f64) {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share is in [0, 1]"
    )]
    bar.set_position((share.clamp(0.0, 1.0) * 1000.0) as u64);
}

fn announce(server: &Server, data_dir: &std::path::Path) {
    let address = server.address();
    let live = server.echo().live.load();
    let arms: Vec<&str> = live
        .arms
        .iter()
        .map(|arm| arm.settings().name.as_str())
        .collect();
    println!("echo-proxy listens on http://{address}");
    println!("  arms      {}", arms.join(", "));
    println!("  policy    {}", live.config.policy);
    println!("  log       {}", data_dir.display());
    println!("Point an editor at it:");
    println!("  Continue  provider: openai, apiBase: http://{address}/v1, model: echo");
    println!(
        "  minuet    openai_fim_compatible, end_point = http://{address}/v1/completions, model = echo"
    );
    println!(
        "  curl      curl http://{address}/v1/completions -H 'Content-Type: application/json' \\"
    );
    println!(
        "              -d '{{\"model\":\"echo\",\"prompt\":\"fn main() {{\\n    let x = \",\"suffix\":\"\\n}}\\n\"}}'"
    );
}
