//! `keyward audit`: reading a trail, and whether an exported one is the one that was written. Proving needs no server.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand};
use keyward_api::audit::{Checkpoints, ExportHead};
use keyward_core::{AuditRecord, AuditVerifier, Checkpoint, KeySet, Manifest, PublicKey, Timestamp, codec::decode_base64url};
use serde_json::json;

use super::{
    connection::CONNECTION_HELP,
    failure::EXIT_CODES,
    show,
    trail::{CheckpointsOf, Export, Search},
};
use crate::audit::unproved;

/// Bytes of one line: a record may hold two states of a policy.
const MAX_LINE: u64 = 1024 * 1024;
/// Bytes of a file of checkpoints.
const MAX_CHECKPOINTS: u64 = 64 * 1024 * 1024;

const EXAMPLES: &str = "\
Examples:
  keyward audit search --action api_key_revoked --from 2027-01-01T00:00:00Z
  keyward audit export --output audit.jsonl
  keyward audit checkpoints --new > kept.json     # to be kept somewhere else
  keyward audit verify audit.jsonl --root \"$(cat root.pub)\" --checkpoint kept.json";

/// The audit trail.
#[derive(Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{CONNECTION_HELP}\n\n{EXIT_CODES}"))]
pub struct Audit {
    #[command(subcommand)]
    command: AuditCommand,
}

/// What can be done with a trail.
#[derive(Subcommand)]
enum AuditCommand {
    /// Who did what: records of the trail, newest first. The reading is itself recorded.
    Search(Box<Search>),
    /// The whole trail, oldest first, with what proves it.
    Export(Export),
    /// Signed checkpoints of the trail: what to keep somewhere else.
    Checkpoints(CheckpointsOf),
    /// Find any edit, removal or reordering in an export, up to the last checkpoint that there is.
    ///
    ///   keyward audit export --output audit.jsonl
    ///   keyward audit verify audit.jsonl --root $(cat root.pub) --checkpoint kept.json
    ///
    /// An export brings its newest checkpoint along. That proves that nobody has changed it since it left the origin, and
    /// that nobody without the origin's keys has made it. That nothing was taken from its end before, or all of it
    /// written anew by somebody who controls the origin, only a checkpoint can prove that was kept elsewhere: keep the
    /// answers of /api/v1/audit/checkpoints, and name them.
    #[command(verbatim_doc_comment)]
    Verify(Verify),
}

/// What to verify, and by what.
#[derive(Args)]
struct Verify {
    /// The export, or `-` for standard input.
    file: PathBuf,
    /// Checkpoints that were kept: an answer of /api/v1/audit/checkpoints, or one signed checkpoint a line.
    #[arg(long)]
    checkpoint: Vec<PathBuf>,
    /// The root's public key (`root.pub`), which proves the checkpoints' signatures. Without it the kept ones are
    /// believed as they are, and those of the export count for nothing.
    #[arg(long, allow_hyphen_values = true)]
    root: Option<String>,
    /// The first record of the export, where it was not made from the beginning.
    #[arg(long, default_value_t = 1)]
    from: u64,
}

impl Audit {
    /// Does it.
    ///
    /// # Errors
    /// With what came in between.
    pub fn run(self) -> anyhow::Result<()> {
        match self.command {
            AuditCommand::Search(search) => search.run(),
            AuditCommand::Export(export) => export.run(),
            AuditCommand::Checkpoints(which) => which.run(),
            AuditCommand::Verify(verify) => verify.run(),
        }
    }
}

impl Verify {
    /// Does it, or says what is wrong with the trail, or hindered the reading.
    fn run(self) -> anyhow::Result<()> {
        let Self { file, checkpoint, root, from } = self;
        ensure!(from > 0, "records are counted from 1");
        ensure!(
            root.is_some() || !checkpoint.is_empty(),
            "name a checkpoint that you have kept (--checkpoint), the root's key (--root), or both"
        );
        let root = root.map(|text| PublicKey::parse(text.trim()).map_err(|_| anyhow::anyhow!("--root is not a public key"))).transpose()?;
        let mut lines = Lines::open(&file)?;
        let head: ExportHead =
            serde_json::from_str(&lines.next()?.context("the export is empty")?).context("the export doesn't begin as one")?;

        let mut manifests = vec![head.manifest];
        let mut signed = Vec::new();
        for path in &checkpoint {
            read_kept(path, &mut manifests, &mut signed)?;
        }
        let checkpoints = match &root {
            Some(root) => {
                signed.extend(head.checkpoint);
                let keys = manifests.iter().map(|manifest| key_set(manifest, root)).collect::<anyhow::Result<Vec<_>>>()?;
                signed.iter().map(|jws| prove(jws, &keys)).collect::<anyhow::Result<Vec<_>>>()?
            }
            None => signed.iter().map(|jws| unproved(jws).context("not a checkpoint")).collect::<anyhow::Result<Vec<_>>>()?,
        };
        ensure!(!checkpoints.is_empty(), "there is no checkpoint to hold the export against");

        let mut verifier = AuditVerifier::new(&checkpoints, from)?;
        while let Some(line) = lines.next()? {
            let record = AuditRecord::parse(&line).with_context(|| format!("line {} is no record", lines.read))?;
            verifier.read(&record)?;
        }
        let proof = verifier.finish()?;
        let signatures = if root.is_some() { "hold" } else { "not looked at: no root was named" };
        let proved = json!({"tenant": checkpoints[0].tenant, "first": proof.first, "last": proof.last, "proved": proof.proved,
                            "checkpoints": checkpoints.len(), "signatures": signatures});
        show::line(&proved.to_string())
    }
}

/// Kept checkpoints, and the manifests beside them.
fn read_kept(path: &Path, manifests: &mut Vec<String>, signed: &mut Vec<String>) -> anyhow::Result<()> {
    let mut text = String::new();
    let file = File::open(path).with_context(|| format!("can't read {}", path.display()))?;
    file.take(MAX_CHECKPOINTS).read_to_string(&mut text)?;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line.starts_with('{') {
            let answer: Checkpoints = serde_json::from_str(line).with_context(|| format!("{} holds no checkpoints", path.display()))?;
            manifests.push(answer.manifest);
            signed.extend(answer.checkpoints.into_iter().map(|checkpoint| checkpoint.jws));
        } else {
            signed.push(line.to_owned());
        }
    }
    Ok(())
}

/// The keys of a manifest that the root has signed. A trail may be verified long after, so that it is read at the time
/// when it was signed.
fn key_set(manifest: &str, root: &PublicKey) -> anyhow::Result<KeySet> {
    let payload = manifest.split('.').nth(1).and_then(decode_base64url).context("not a manifest")?;
    let claimed: Manifest = serde_json::from_slice(&payload).context("not a manifest")?;
    Manifest::open(manifest, std::slice::from_ref(root), Timestamp::from_secs(claimed.iat)).context("the root has not signed the manifest")
}

fn prove(jws: &str, keys: &[KeySet]) -> anyhow::Result<Checkpoint> {
    let mut why = anyhow::anyhow!("there is no manifest");
    for keys in keys {
        match keys.open::<Checkpoint>(jws, Timestamp::from_secs(keys.manifest().iat)) {
            Ok(checkpoint) => return Ok(checkpoint),
            Err(error) => why = error.into(),
        }
    }
    Err(why.context("a checkpoint's signature does not hold"))
}

/// A file's lines, bounded.
struct Lines {
    from: Box<dyn BufRead>,
    read: u64,
}

impl Lines {
    fn open(path: &Path) -> anyhow::Result<Self> {
        let from: Box<dyn BufRead> = if path == Path::new("-") {
            Box::new(std::io::stdin().lock())
        } else {
            Box::new(BufReader::new(File::open(path).with_context(|| format!("can't read {}", path.display()))?))
        };
        Ok(Self { from, read: 0 })
    }

    fn next(&mut self) -> anyhow::Result<Option<String>> {
        let mut line = String::new();
        let len = (&mut self.from).take(MAX_LINE).read_line(&mut line)?;
        self.read += 1;
        match (len, line.ends_with('\n')) {
            (0, _) => Ok(None),
            (_, true) => Ok(Some(line)),
            _ => bail!("line {} breaks off", self.read),
        }
    }
}
