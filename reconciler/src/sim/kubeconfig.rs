//! What a client needs to reach a simulated cluster.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::json;

/// The kubeconfig of a cluster at this URL. JSON is YAML too, and every client reads it.
pub(super) fn render(cluster: &str, url: &str) -> String {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster, "cluster": {"server": url}}],
        "users": [{"name": "anyone", "user": {}}],
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": "anyone"}}],
        "current-context": cluster,
    });
    format!("{config:#}\n")
}

/// Writes `<name>.kubeconfig` so that nobody ever reads half of it.
pub(super) fn write(folder: &Path, cluster: &str, config: &str) -> std::io::Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    let path = folder.join(format!("{cluster}.kubeconfig"));
    let draft = folder.join(format!(".{cluster}.kubeconfig.{}", std::process::id()));
    let mut file = std::fs::File::create(&draft)?;
    file.write_all(config.as_bytes())?;
    drop(file);
    std::fs::rename(&draft, &path)?;
    Ok(path)
}
