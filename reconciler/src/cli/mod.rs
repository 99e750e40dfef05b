//! The command line: one file per command.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod brake;
mod certs;
mod completions;
mod cordon;
pub(crate) mod decisions;
mod demo;
mod edit;
mod events;
mod explain;
mod export;
mod get;
mod import;
mod init;
mod lead;
mod leads;
mod log;
mod multicluster;
mod output;
mod plan;
mod raft;
mod reconcile;
mod relocate;
mod rollback;
mod schema;
mod sim;
mod validate;

/// GitOps for many clusters: places applications by energy, cost and performance.
#[derive(Debug, Parser)]
#[command(name = "qonnect", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a new repository.
    Init(init::Args),
    /// Take over what was written for another tool: applications, clusters.
    Import(import::Args),
    /// Check a repository, folders or files.
    Validate(validate::Args),
    /// Show what would be decided, without any server.
    Plan(plan::Args),
    /// Say why a component runs where it does.
    Explain(explain::Args),
    /// List clusters, nodes, apps, placements, revisions or events.
    Get(get::Args),
    /// Commit that nothing new comes to a cluster.
    Cordon(cordon::Args),
    /// Commit that everything moves away from a cluster.
    Drain(cordon::Args),
    /// Commit that nothing runs on a cluster any more, since you have seen to that.
    Fence(cordon::Args),
    /// Commit that a cluster takes part again.
    Uncordon(cordon::Args),
    /// Say what sending a component elsewhere would mean, and pin it there.
    Move(relocate::Args),
    /// Pin an application to the last placement that was Ready.
    Rollback(rollback::Args),
    /// Show whether moves are frozen, and let them go.
    Brake(brake::Args),
    /// Let an agent fetch, and try at once what waits for its next attempt.
    Reconcile(reconcile::Args),
    /// Show what happened, why, and what was decided.
    Events(events::Args),
    /// Show every decision, and whether the deploy branch agrees.
    Log(log::Args),
    /// Write the Snapshot of a running lead, or what other tools read of it.
    Export(export::Args),
    /// Print the JSON Schema of a kind.
    Schema(schema::Args),
    /// Run a lead agent.
    Lead(lead::Args),
    /// See and change the group of leads.
    Raft(raft::Args),
    /// Make an authority, certificates and signing keys for leads, agents and people.
    Certs(certs::Args),
    /// Serve simulated clusters as Kubernetes APIs on loopback.
    Sim(sim::Args),
    /// Watch the whole loop work on this machine.
    Demo(demo::Args),
    /// Print shell completions.
    Completions(completions::Args),
}

/// What every command returns: a status for the shell. An error is printed and becomes status 2.
type Status = anyhow::Result<ExitCode>;

pub fn main() -> ExitCode {
    let status = match Cli::parse().command {
        Command::Init(args) => init::run(args),
        Command::Import(args) => import::run(args),
        Command::Validate(args) => validate::run(args),
        Command::Plan(args) => plan::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Get(args) => get::run(args),
        Command::Cordon(args) => cordon::cordon(args),
        Command::Drain(args) => cordon::drain(args),
        Command::Fence(args) => cordon::fence(args),
        Command::Uncordon(args) => cordon::uncordon(args),
        Command::Move(args) => relocate::run(args),
        Command::Rollback(args) => rollback::run(args),
        Command::Brake(args) => brake::run(args),
        Command::Reconcile(args) => reconcile::run(args),
        Command::Events(args) => events::run(args),
        Command::Log(args) => log::run(args),
        Command::Export(args) => export::run(args),
        Command::Schema(args) => schema::run(args),
        Command::Lead(args) => lead::run(args),
        Command::Raft(args) => raft::run(args),
        Command::Certs(args) => certs::run(args),
        Command::Sim(args) => sim::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Completions(args) => completions::run(args),
    };
    status.unwrap_or_else(|error| {
        anstream::eprintln!("{} {error:#}", owo_colors::OwoColorize::red(&"error:"));
        ExitCode::from(2)
    })
}
