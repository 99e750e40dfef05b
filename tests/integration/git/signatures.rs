//! Signatures as the ordinary git and ssh-keygen make and judge them, and ours beside theirs.

use std::path::{Path, PathBuf};

use qonnect_git::signature::{Distrust, Key, Signer, Signers, verify};
use qonnect_git::{CommitDraft, Credentials, Depth, Error, Mirror, Remote};
use qonnect_tests::folder;
use qonnect_tests::process::run;

use super::servers::{PATIENCE, git};

/// A repository with people who sign, and the files that say whose signatures count.
struct Scene {
    work: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let work = folder::fresh("git-signatures");
        git(&work, &["init", "--quiet", "--initial-branch=main"]);
        std::fs::write(work.join("allowed"), "# nobody yet\n").unwrap();
        Self { work }
    }

    /// Makes a key and returns its public half.
    fn key(&self, name: &str, kind: &[&str]) -> String {
        let file = self.path(name);
        let mut args = vec!["-q", "-N", "", "-C", name, "-f", file.to_str().unwrap()];
        args.extend(kind);
        run("ssh-keygen", &args);
        std::fs::read_to_string(file.with_extension("pub")).unwrap().trim().into()
    }

    fn allow(&self, lines: &str) {
        std::fs::write(self.path("allowed"), lines).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.work.join(name)
    }

    fn git(&self, args: &[&str]) -> String {
        let (allowed, revoked) = (self.path("allowed"), self.path("revoked"));
        let allowed = format!("gpg.ssh.allowedSignersFile={}", allowed.display());
        let revoked = format!("gpg.ssh.revocationFile={}", revoked.display());
        let mut all = vec!["-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "gpg.format=ssh"];
        all.extend(["-c", &allowed]);
        if self.path("revoked").exists() {
            all.extend(["-c", &revoked]);
        }
        all.extend(args);
        git(&self.work, &all)
    }

    /// The id of a new commit, signed with the key of that name.
    fn commit(&self, key: &str, date: &str) -> String {
        let key = format!("user.signingKey={}", self.path(key).display());
        // The committer's date is the one that counts.
        let commit = format!(
            "GIT_COMMITTER_DATE='{date}' git -c gpg.format=ssh -c '{key}' commit -S --quiet --allow-empty -m signed"
        );
        let alias = format!("alias.signed=!{commit}");
        self.git(&["-c", &alias, "signed"]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// A commit object with these bytes.
    fn write(&self, text: &str) -> String {
        std::fs::write(self.path("object"), text).unwrap();
        self.git(&["hash-object", "-t", "commit", "-w", "object"])
    }

    fn text(&self, commit: &str) -> String {
        format!("{}\n", self.git(&["cat-file", "commit", commit]))
    }

    fn verdict(&self, commit: &str) -> Result<Signer, Distrust> {
        let revoked = Some(self.path("revoked")).filter(|path| path.exists());
        let trust = Signers { allowed: self.path("allowed"), revoked }.read().unwrap();
        verify(self.text(commit).as_bytes(), &trust)
    }

    /// What git itself says of it.
    fn git_accepts(&self, commit: &str) -> bool {
        let alias = format!("alias.judged=!git verify-commit {commit} 2>/dev/null && echo good || echo bad");
        self.git(&["-c", &alias, "judged"]) == "good"
    }
}

const DATE: &str = "2026-03-04T05:06:07Z";
const ED25519: &[&str] = &["-t", "ed25519"];

#[test]
fn what_git_signs_is_accepted_with_the_name_of_the_signer() {
    let scene = Scene::new();
    for (name, kind) in [
        ("ed25519", ED25519),
        ("p256", &["-t", "ecdsa", "-b", "256"]),
        ("p384", &["-t", "ecdsa", "-b", "384"]),
    ] {
        let public = scene.key(name, kind);
        scene.allow(&format!("# people\n\n{name}@example.org namespaces=\"git\" {public}\n"));
        let commit = scene.commit(name, DATE);
        let signer = scene.verdict(&commit).unwrap();
        assert_eq!(signer.principal, format!("{name}@example.org"));
        assert!(public_fingerprint(&scene.path(name)).contains(&signer.key), "{}", signer.key);
        assert!(scene.git_accepts(&commit), "{name}");
    }
}

fn public_fingerprint(key: &Path) -> String {
    run("ssh-keygen", &["-l", "-f", key.to_str().unwrap()])
}

#[test]
fn a_commit_that_was_changed_afterwards_is_none_of_its_signer() {
    let scene = Scene::new();
    scene.allow(&format!("ann {}\n", scene.key("ann", ED25519)));
    let good = scene.text(&scene.commit("ann", DATE));
    for changed in [good.replace("\nsigned", "\nSigned"), good.replace("\ncommitter ", "\ncommitter Bob ")] {
        let commit = scene.write(&changed);
        assert!(matches!(scene.verdict(&commit), Err(Distrust::Forged { .. })), "{changed}");
        assert!(!scene.git_accepts(&commit));
    }
    let twice = good.replacen("gpgsig ", "gpgsig-sha256 x\ngpgsig ", 1);
    assert!(matches!(scene.verdict(&scene.write(&twice)), Err(Distrust::Unreadable { .. })));
    let cut = good.replace("-----END SSH", "-----THE END OF SSH");
    assert!(matches!(scene.verdict(&scene.write(&cut)), Err(Distrust::Unreadable { .. })));
}

#[test]
fn who_is_unknown_revoked_or_out_of_time_is_told_from_who_is_not() {
    let scene = Scene::new();
    let ann = scene.key("ann", ED25519);
    scene.key("bob", ED25519);
    scene.allow(&format!("ann {ann}\n"));
    let by_bob = scene.commit("bob", DATE);
    assert!(matches!(scene.verdict(&by_bob), Err(Distrust::UnknownKey { .. })));
    assert!(!scene.git_accepts(&by_bob));

    let by_ann = scene.commit("ann", DATE);
    for (limit, good) in [
        ("valid-after=\"20260305Z\"", false),
        ("valid-before=\"20260304Z\"", false),
        ("valid-after=\"20260301Z\",valid-before=\"202603040507Z\"", true),
        ("namespaces=\"file\"", false),
    ] {
        scene.allow(&format!("ann {limit} {ann}\n"));
        let verdict = scene.verdict(&by_ann);
        assert_eq!((verdict.is_ok(), scene.git_accepts(&by_ann)), (good, good), "{limit}: {verdict:?}");
        let expected = match verdict {
            Ok(_) => good,
            Err(Distrust::NotYetValid { .. }) => limit.contains("0305"),
            Err(Distrust::Expired { .. }) => limit.contains("20260304Z"),
            Err(Distrust::NotForCommits { .. }) => limit.contains("file"),
            Err(_) => false,
        };
        assert!(expected, "{limit}");
    }
    // One of several lines is enough.
    scene.allow(&format!("ann valid-before=\"20250101Z\" {ann}\nann {ann}\n"));
    assert!(scene.verdict(&by_ann).is_ok() && scene.git_accepts(&by_ann));

    std::fs::write(scene.path("revoked"), format!("# lost on a train\n{ann}\n")).unwrap();
    assert!(matches!(scene.verdict(&by_ann), Err(Distrust::Revoked { .. })));
    assert!(!scene.git_accepts(&by_ann));
}

#[test]
fn other_kinds_of_keys_and_signatures_are_named() {
    let scene = Scene::new();
    let rsa = scene.key("rsa", &["-t", "rsa", "-b", "2048"]);
    scene.allow(&format!("ann {}\nann {rsa}\n", scene.key("ann", ED25519)));
    scene.git(&["commit", "--quiet", "--allow-empty", "-m", "plain"]);
    let unsigned = scene.git(&["rev-parse", "HEAD"]);
    assert_eq!(scene.verdict(&unsigned), Err(Distrust::Unsigned));

    let by_rsa = scene.verdict(&scene.commit("rsa", DATE));
    assert_eq!(by_rsa, Err(Distrust::KeyType { algorithm: "ssh-rsa".into() }));

    let header = "gpgsig -----BEGIN PGP SIGNATURE-----\n \n iQEz\n -----END PGP SIGNATURE-----\n";
    let pgp = scene.text(&unsigned).replacen("\n\n", &format!("\n{header}\n"), 1);
    let verdict = scene.verdict(&scene.write(&pgp)).unwrap_err();
    assert_eq!(verdict, Distrust::OtherFormat { what: "a PGP signature" });

    let file = scene.path("payload");
    std::fs::write(&file, scene.text(&unsigned)).unwrap();
    let key = scene.path("ann");
    run(
        "ssh-keygen",
        &["-q", "-Y", "sign", "-n", "file", "-f", key.to_str().unwrap(), file.to_str().unwrap()],
    );
    let signature = std::fs::read_to_string(scene.path("payload.sig")).unwrap().trim().replace('\n', "\n ");
    let other = scene.text(&unsigned).replacen("\n\n", &format!("\ngpgsig {signature}\n\n"), 1);
    let verdict = scene.verdict(&scene.write(&other)).unwrap_err();
    assert_eq!(verdict, Distrust::OtherPurpose { found: "file".into() });
}

#[test]
fn a_line_that_cannot_be_read_is_an_error_with_its_place() {
    let scene = Scene::new();
    let key = scene.key("ann", ED25519);
    let read = |allowed: &str, revoked: Option<&[u8]>| {
        scene.allow(allowed);
        let list =
            revoked.map(|bytes| std::fs::write(scene.path("revoked"), bytes).map(|()| scene.path("revoked")));
        let signers = Signers { allowed: scene.path("allowed"), revoked: list.map(Result::unwrap) };
        signers.read().map(drop).unwrap_err().to_string()
    };
    let unknown = read(&format!("ann {key}\nann what-else {key}\n"), None);
    assert!(unknown.contains("allowed, line 2") && unknown.contains("what-else"), "{unknown}");
    let binary = read(&format!("ann {key}\n"), Some(b"SSHKRL\n\0..."));
    assert!(binary.contains("revoked") && binary.contains("KRL"), "{binary}");
    std::fs::remove_file(scene.path("allowed")).unwrap();
    let missing = Signers { allowed: scene.path("allowed"), revoked: None }.read().map(drop);
    assert!(matches!(missing, Err(Error::File { .. })), "{missing:?}");
}

#[test]
fn git_accepts_what_we_sign_and_the_same_draft_keeps_its_id() {
    let scene = Scene::new();
    let public = scene.key("lead", ED25519);
    scene.allow(&format!("lead-1 namespaces=\"git\" {public}\n"));
    let url = scene.work.display().to_string();
    let mirror = |name: &str| {
        let remote = Remote::new(&*url, Credentials::None);
        let mut mirror = Mirror::open(&folder::fresh("git-signing").join(name), remote).unwrap();
        mirror.sign_with(Key::open(&scene.path("lead")).unwrap());
        mirror
    };
    let mut first = mirror("first");
    let draft = CommitDraft {
        files: [("a.yaml".to_owned(), Some(b"a\n".as_slice().into()))].into(),
        message: "decide\n\nQonnect-Epoch: 1.2.3\n".into(),
        time_secs: 1_800_000_000,
        ..CommitDraft::default()
    };
    let commit = first.write_commit(&draft).unwrap();
    assert_eq!(mirror("second").write_commit(&draft).unwrap(), commit);
    first.publish("deploy", &commit, None, PATIENCE).unwrap();
    assert!(scene.git_accepts(&commit));
    assert_eq!(scene.verdict(&commit).unwrap().principal, "lead-1");
    let trust = Signers { allowed: scene.path("allowed"), revoked: None }.read().unwrap();
    assert_eq!(first.fetch("deploy", Depth::Shallow, PATIENCE).unwrap(), Some(commit.clone()));
    assert!(first.signer(&commit, &trust).unwrap().is_ok());

    // From the next commit on, and without a restart.
    let next = scene.key("next", ED25519);
    std::fs::copy(scene.path("next"), scene.path("lead")).unwrap();
    scene.allow(&format!("lead-1 {next}\n"));
    let barrier =
        CommitDraft { base: Some(commit.clone()), message: "barrier\n".into(), ..CommitDraft::default() };
    let renewed = first.write_commit(&barrier).unwrap();
    first.publish("deploy", &renewed, Some(&commit), PATIENCE).unwrap();
    assert_eq!(scene.verdict(&renewed).map(|signer| signer.principal), Ok("lead-1".into()));
    assert!(scene.git_accepts(&renewed));
}

#[test]
fn a_key_that_cannot_sign_again_alike_is_refused_at_once() {
    let scene = Scene::new();
    scene.key("p256", &["-t", "ecdsa", "-b", "256"]);
    let locked = scene.path("locked");
    run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "hunter2", "-f", locked.to_str().unwrap()]);
    scene.allow("no key\n");
    for (name, why) in [("p256", "Ed25519"), ("locked", "passphrase"), ("allowed", "ssh-keygen")] {
        let error = Key::open(&scene.path(name)).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(why), "{error}");
    }
}
