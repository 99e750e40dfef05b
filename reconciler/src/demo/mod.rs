//! The whole loop on one machine: real git, real processes, simulated clusters, and a short story.
//!
//! ```text
//! git push ─▶ git http-backend ─▶ 3 × qonnect lead ─▶ deploy branch ─▶ 9 × qonnect-agent ─▶ qonnect sim
//! ```

use std::path::PathBuf;

use anyhow::Context as _;

mod agents;
mod chart;
mod clusters;
mod leads;
mod processes;
mod repository;
mod stage;
mod story;
mod timeline;
mod world;

/// What a person may choose.
#[derive(Debug, Clone)]
pub struct Options {
    /// The repository to copy; it holds `apps/bookinfo`.
    pub example: PathBuf,
    /// End after the story instead of staying up.
    pub exit: bool,
    /// Where to write steps and times as JSON.
    pub timeline: Option<PathBuf>,
}

/// Tells the story. An error names the step that failed.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let folder = tempfile::Builder::new().prefix("qonnect-demo-").tempdir().context("no temporary folder")?;
    let mut timeline = timeline::Timeline::default();
    let told = tokio::select! {
        told = tell(&options, folder.path(), &mut timeline) => told,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("stopped by Ctrl-C")),
    };
    if let Some(file) = &options.timeline {
        timeline.write(file, told.as_ref().err())?;
    }
    let stage = match told {
        Ok(stage) => stage,
        Err(error) => {
            // The logs are what a person needs now.
            let kept = folder.keep();
            return Err(error.context(format!("the demo failed; its logs are in {}", kept.display())));
        }
    };
    if !options.exit {
        stage.say_how_to_go_on();
        tokio::signal::ctrl_c().await.context("cannot wait for Ctrl-C")?;
    }
    Ok(())
}

async fn tell(
    options: &Options,
    folder: &std::path::Path,
    timeline: &mut timeline::Timeline,
) -> anyhow::Result<stage::Stage> {
    let mut stage = stage::Stage::build(&options.example, folder, timeline).await?;
    story::tell(&mut stage, timeline).await?;
    Ok(stage)
}
