//! `qonnect schema`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use qonnect_schema::json_schema::Kind;

use super::{Status, output};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  qonnect schema                        list the kinds
  qonnect schema application            print the JSON Schema of Application
  qonnect schema --write schema/json    write all of them into a folder

Editors check a document that begins with
  # yaml-language-server: $schema=PATH/application.schema.json")]
pub(super) struct Args {
    /// The kind to print, in any case; without it the kinds are listed.
    kind: Option<String>,
    /// Write the schemas of all kinds into this folder.
    #[arg(long, value_name = "DIR", conflicts_with = "kind")]
    write: Option<PathBuf>,
}

pub(super) fn run(args: Args) -> Status {
    match (args.kind, args.write) {
        (Some(kind), _) => match Kind::parse(&kind) {
            Some(kind) => output::print(&document(kind))?,
            None => bail!("`{kind}` is no kind; there are {}", Kind::ALL.map(Kind::name).join(", ")),
        },
        (None, Some(folder)) => {
            std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
            for kind in Kind::ALL {
                let file = folder.join(kind.file_name());
                std::fs::write(&file, document(kind))
                    .with_context(|| format!("cannot write {}", file.display()))?;
            }
        }
        (None, None) => output::print(&Kind::ALL.map(|kind| format!("{kind}\n")).concat())?,
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn document(kind: Kind) -> String {
    format!("{:#}\n", kind.schema())
}
