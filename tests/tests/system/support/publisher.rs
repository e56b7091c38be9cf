//! The published half of an origin, whose signing keys the test holds: it can make any true statement and any false
//! one. Only what the edge makes of them is tested with it.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use keyward_core::{
    AmendmentPage, AnyOr, ApiKeyClaims, Capability, Delta, Digest, Environment, FeedReply, Heartbeat, KeyId, KeyPrefix, KeyState, Limits,
    Manifest, PolicyClaims, PolicyNumber, Role, ScopeClass, Snapshot, SnapshotReply, Status, StatusIndex, StatusList, TenantId,
    bounds::SHARD_LEN, codec::base64url,
};
use keyward_issuer::{SigningKey, amendment_page, mint_api_key, status_list_claims};
use keyward_tests::{
    EdgeConfig, Upstream,
    http::{Reply, Request, Response, Server},
};
use tokio::{sync::watch, time::timeout};

use super::common;

/// What the manifest calls the origin; nobody resolves it.
const ISSUER: &str = "https://keys.example.com";

/// One signing key for each role.
pub(crate) struct Keys {
    pub(crate) root: SigningKey,
    pub(crate) api_key: SigningKey,
    pub(crate) policy: SigningKey,
    pub(crate) feed: SigningKey,
    pub(crate) token: SigningKey,
    /// In no manifest.
    pub(crate) stranger: SigningKey,
}

/// What is published at the moment.
pub(crate) struct Published {
    pub(crate) keys: Keys,
    pub(crate) epoch: u32,
    pub(crate) seq: u64,
    pub(crate) manifest_version: u64,
    pub(crate) manifest: String,
    pub(crate) statuses: StatusList,
    pub(crate) page: AmendmentPage,
    /// The change that led to each sequence number.
    pub(crate) changes: BTreeMap<u64, Delta>,
    pub(crate) policies: BTreeMap<u32, String>,
}

/// A server of the edge's protocol over [`Published`].
pub(crate) struct Publisher {
    server: Server,
    published: Arc<Mutex<Published>>,
    changed: watch::Sender<u64>,
}

/// Unix milliseconds.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Publisher {
    /// Publishes one shard, nothing revoked, and policy 1, which permits searching.
    pub(crate) async fn start() -> Result<Self> {
        let mut published = Published::new()?;
        published.write_policy(1, &["rag:search"])?;
        let published = Arc::new(Mutex::new(published));
        let (changed, _) = watch::channel(0);
        let (theirs, signal) = (published.clone(), changed.clone());
        let server = Server::start(move |request| {
            let (published, changes) = (theirs.clone(), signal.subscribe());
            async move {
                let answer = answer(&request, &published, changes).await;
                Reply::Response(answer.unwrap_or_else(|error| Response::new(500, "text/plain", format!("{error:#}"))))
            }
        })
        .await?;
        Ok(Self { server, published, changed })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// An edge that follows this publisher, which it reaches at `url`, in front of `upstream`.
    pub(crate) fn edge_config(&self, url: &str, upstream: &Upstream) -> Result<EdgeConfig> {
        let published = self.published();
        let vars = [
            ("KEYWARD_ORIGIN", url.to_owned()),
            ("KEYWARD_UPSTREAM", upstream.url()),
            ("KEYWARD_ROOTS", base64url(published.keys.root.public_key().as_bytes())),
            ("KEYWARD_ENV", "live".to_owned()),
        ];
        // To the publisher any credential will do.
        let secrets = vec![("KEYWARD_SYNC_KEY".to_owned(), published.mint(1, 1)?)];
        let vars = vars.map(|(name, value)| (name.to_owned(), value)).to_vec();
        Ok(common(EdgeConfig {
            isolates: 1,
            listen: Vec::new(),
            vars,
            secrets,
            modules: None,
            objects: Vec::new(),
            build: None,
            home: None,
        }))
    }

    /// What is published; holding the guard holds all answers back.
    pub(crate) fn published(&self) -> MutexGuard<'_, Published> {
        lock(&self.published)
    }

    /// The same for a relay's rules, which outlive a borrow.
    pub(crate) fn handle(&self) -> Arc<Mutex<Published>> {
        self.published.clone()
    }

    /// Publishes a change of one status.
    pub(crate) fn mark(&self, index: u32, status: Status) -> Result<u64> {
        let mut published = self.published();
        let seq = published.change(Delta { changes: vec![(StatusIndex(index), status)], ..Delta::default() })?;
        drop(published);
        self.announce();
        Ok(seq)
    }

    /// Answers the long polls that wait.
    pub(crate) fn announce(&self) {
        self.changed.send_modify(|count| *count += 1);
    }
}

impl Published {
    fn new() -> Result<Self> {
        let keys = Keys {
            root: SigningKey::from_seed([1; 32]),
            api_key: SigningKey::from_seed([2; 32]),
            policy: SigningKey::from_seed([3; 32]),
            feed: SigningKey::from_seed([4; 32]),
            token: SigningKey::from_seed([5; 32]),
            stranger: SigningKey::from_seed([6; 32]),
        };
        let mut published = Self {
            keys,
            epoch: 1,
            seq: 0,
            manifest_version: 1,
            manifest: String::new(),
            statuses: StatusList::new(2, SHARD_LEN)?,
            page: AmendmentPage { amendments: Vec::new() },
            changes: BTreeMap::new(),
            policies: BTreeMap::new(),
        };
        published.manifest = published.keys.root.sign(&published.manifest_claims())?;
        Ok(published)
    }

    /// The manifest of now, unsigned.
    pub(crate) fn manifest_claims(&self) -> Manifest {
        let keys = [
            (&self.keys.api_key, Role::ApiKey),
            (&self.keys.policy, Role::Policy),
            (&self.keys.feed, Role::Feed),
            (&self.keys.token, Role::Token),
        ];
        let now = now_ms() / 1000;
        Manifest {
            iss: ISSUER.into(),
            version: self.manifest_version,
            epoch: self.epoch,
            first_policy: 1,
            first_index: 0,
            iat: now,
            exp: now + 86_400,
            keys: keys.map(|(key, role)| key.manifest_key(role, KeyState::Active, None)).into(),
        }
    }

    /// The heartbeat of now, unsigned.
    pub(crate) fn heartbeat_claims(&self) -> Heartbeat {
        Heartbeat {
            epoch: self.epoch,
            seq: self.seq,
            iat_ms: now_ms(),
            manifest: self.manifest_version,
            digest: Digest::of(&self.manifest),
        }
    }

    /// The snapshot of now, unsigned, and the texts that its digests are of.
    pub(crate) fn snapshot_claims(&self) -> Result<(Snapshot, Vec<String>)> {
        // With a fixed time: the same list has the same text.
        let list = status_list_claims(ISSUER, 0, &self.statuses, 1_790_000_000, None);
        let list = self.keys.feed.sign(&list)?;
        let mut parts = vec![list];
        let snapshot = Snapshot {
            epoch: self.epoch,
            seq: self.seq,
            iat_ms: now_ms(),
            shards: vec![(0, Digest::of(&parts[0]))],
            amendments: match self.page.amendments.first() {
                None => Vec::new(),
                Some(first) => {
                    parts.push(amendment_page(self.page.amendments.clone()));
                    vec![(first.index, Digest::of(&parts[1]))]
                }
            },
            supersessions: Vec::new(),
        };
        Ok((snapshot, parts))
    }

    /// Takes the next sequence number for a change; epoch, range and time are filled in.
    pub(crate) fn change(&mut self, change: Delta) -> Result<u64> {
        for (index, status) in &change.changes {
            anyhow::ensure!(self.statuses.set(index.offset(), status.value()), "an index of shard 0");
        }
        for amendment in &change.amendments {
            self.page.amendments.retain(|other| other.index != amendment.index);
            self.page.amendments.push(*amendment);
            self.page.amendments.sort_by_key(|amendment| amendment.index);
        }
        self.seq += 1;
        let change = Delta { epoch: self.epoch, from: self.seq - 1, to: self.seq, iat_ms: now_ms(), ..change };
        self.changes.insert(self.seq, change);
        Ok(self.seq)
    }

    /// A policy, unsigned, with these capabilities and no restriction.
    pub(crate) fn policy_claims(&self, number: u32, capabilities: &[&str]) -> Result<PolicyClaims> {
        Ok(PolicyClaims {
            number: PolicyNumber(number),
            epoch: self.epoch,
            iat: now_ms() / 1000,
            tenant: TenantId("01981f9f-7a3c-7cc0-8a52-6b6d3c1f0e11".parse()?),
            scope: ScopeClass::User,
            capabilities: capabilities.iter().map(|text| Capability::parse(text)).collect::<Result<_, _>>()?,
            endpoints: AnyOr::Any,
            blocked_endpoints: Vec::new(),
            ips: AnyOr::Any,
            domains: AnyOr::Any,
            require_tls: true,
            limits: Limits::default(),
            constraints: BTreeMap::new(),
        })
    }

    /// Makes a policy known.
    pub(crate) fn write_policy(&mut self, number: u32, capabilities: &[&str]) -> Result<()> {
        let policy = self.policy_claims(number, capabilities)?;
        self.policies.insert(number, self.keys.policy.sign(&policy)?);
        Ok(())
    }

    /// A key that holds until something is said against it.
    pub(crate) fn mint(&self, index: u32, policy: u32) -> Result<String> {
        let claims = ApiKeyClaims {
            scope: ScopeClass::User,
            exchange: false,
            signing_key: [0; 3],
            expires: None,
            index: StatusIndex(index),
            policy: PolicyNumber(policy),
            id: KeyId("01981f9f-7a3c-7cc0-8a52-6b6d3c1f0e12".parse()?),
        };
        let key = mint_api_key(&self.keys.api_key, claims, &KeyPrefix::default(), Environment::Live, &[9; 16]);
        Ok(key.expose().to_owned())
    }

    fn feed_reply(&self, epoch: u32, after: u64, manifest: u64) -> Result<FeedReply> {
        let gap = epoch != self.epoch || after > self.seq;
        let changes = self.changes.range(after.saturating_add(1)..).map(|(_, change)| {
            // A change of an older epoch can't be signed anew: who is there takes a snapshot.
            self.keys.feed.sign(change)
        });
        Ok(FeedReply {
            heartbeat: self.keys.feed.sign(&self.heartbeat_claims())?,
            deltas: if gap { Vec::new() } else { changes.collect::<Result<_, _>>()? },
            gap,
            manifest: (manifest != self.manifest_version).then(|| self.manifest.clone()),
        })
    }
}

async fn answer(request: &Request, published: &Mutex<Published>, mut changes: watch::Receiver<u64>) -> Result<Response> {
    let target = request.target_text();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let credential = request.headers.first("authorization").unwrap_or_default();
    if !credential.starts_with("Bearer ") {
        return Ok(Response::new(401, "text/plain", "no credential"));
    }
    let jwt = |text: String| Response::new(200, "application/jwt", text);
    let missing = || Response::new(404, "text/plain", "no such thing");
    match path {
        "/edge/v1/feed" => {
            let number = |name: &str| -> Result<u64> {
                let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
                let mut value = pairs.filter(|(key, _)| *key == name).map(|(_, value)| value);
                Ok(value.next_back().context(name.to_owned())?.parse()?)
            };
            let (epoch, after) = (u32::try_from(number("epoch")?)?, number("after")?);
            let (version, wait) = (number("manifest")?, number("wait_ms")?.min(5000));
            let something = |published: &Published| (epoch, after, version) != (published.epoch, published.seq, published.manifest_version);
            let news = async {
                while !something(&lock(published)) {
                    changes.changed().await?;
                }
                anyhow::Ok(())
            };
            // Either way the answer is what holds now.
            let _nothing_new = timeout(Duration::from_millis(wait), news).await;
            let reply = lock(published).feed_reply(epoch, after, version)?;
            Ok(Response::new(200, "application/json", serde_json::to_string(&reply)?))
        }
        "/edge/v1/snapshot" => {
            let published = lock(published);
            let reply = SnapshotReply {
                manifest: published.manifest.clone(),
                snapshot: published.keys.feed.sign(&published.snapshot_claims()?.0)?,
                heartbeat: published.keys.feed.sign(&published.heartbeat_claims())?,
            };
            Ok(Response::new(200, "application/json", serde_json::to_string(&reply)?))
        }
        "/edge/v1/manifest" => Ok(jwt(lock(published).manifest.clone())),
        _ => {
            let published = lock(published);
            if let Some(digest) = path.strip_prefix("/edge/v1/parts/") {
                let mut parts = published.snapshot_claims()?.1.into_iter();
                let part = parts.find(|part| Digest::of(part).to_string() == digest);
                return Ok(part.map_or_else(missing, jwt));
            }
            let number = path.strip_prefix("/edge/v1/policies/").and_then(|number| number.parse().ok());
            let policy = number.and_then(|number: u32| published.policies.get(&number));
            Ok(policy.cloned().map_or_else(missing, jwt))
        }
    }
}

fn lock(published: &Mutex<Published>) -> MutexGuard<'_, Published> {
    published.lock().unwrap_or_else(PoisonError::into_inner)
}
