//! The product on a folder or a PostgreSQL, with the sandbox as its networks: what the rungs that
//! fail databases stand on, and how they count what followers see.

use std::collections::BTreeMap;
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use carillon::clock::Clock;
use carillon::config::Config;
use carillon::db::Error;
use carillon::domain::delivery::DeliveryState as State;
use carillon::domain::job::Pool;
use carillon::domain::refusal::Refusal;
use carillon::media::intake;
use carillon::publishing::connecting::{self, New};
use carillon::publishing::schedule::{self, Draft, DraftDelivery};
use carillon::publishing::view::{self, DeliveryView};
use carillon::queue::worker::Worker;
use carillon::store::{accounts, queue};
use carillon::{App, ids, publishing};
use carillon_networks::SendClass;
use carillon_sandbox::{Options, Sandbox};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::Counts;

/// Monday 23 November 2026, 08:00 UTC.
pub(crate) const START: i64 = 1_795_420_800_000;
/// Networks that take a post without a picture: every class but the handle.
const TEXT: [&str; 5] = ["facebook", "bluesky", "mastodon", "wordpress", "telegram"];
const HANDLE: &str = "instagram";

/// What outlives every process of the product: the networks, and who posts there.
pub(crate) struct Stage {
    pub sandbox: Sandbox,
    /// The networks' time.
    time: Arc<Mutex<Clock>>,
    pub workspace: String,
    pub targets: Vec<Target>,
    pub picture: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Target {
    network: &'static str,
    account: String,
    connection: String,
}

/// One process of the product, from its start to its end.
pub(crate) struct Life {
    pub app: App,
    pub worker: Worker,
    pub clock: Clock,
    serving: JoinHandle<anyhow::Result<()>>,
}

impl Drop for Life {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A post that the product said it had taken, or may have taken.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub text: String,
    pub targets: Vec<Target>,
    /// What it was refused with; then both are right, that it is there and that it is not.
    pub refused: Option<Refusal>,
}

impl Stage {
    /// Connects `accounts` at every network and uploads a picture, in a first life that is over
    /// when this returns.
    pub(crate) async fn set(
        folder: &Path,
        more: &[(&str, String)],
        accounts: usize,
    ) -> anyhow::Result<Self> {
        let clock = Clock::manual(START);
        let time = Arc::new(Mutex::new(clock.clone()));
        let seen = time.clone();
        let now = Arc::new(move || seen.lock().unwrap_or_else(|e| e.into_inner()).now());
        let options = Options { now, ..Options::default() };
        let sandbox = Sandbox::start("127.0.0.1:0".parse()?, options).await?;
        let workspace = ids::new(START);
        let (targets, picture) = (Vec::new(), String::new());
        let mut stage = Self { sandbox, time, workspace, targets, picture };
        let life = stage.begin(folder, more, clock).await?;
        let w = accounts::Workspace {
            id: stage.workspace.clone(),
            name: "The Anchor".into(),
            timezone: "Europe/London".into(),
            demo_at: None,
        };
        life.app
            .db
            .write(move |tx| async move { accounts::add_workspace(&tx, &w, START).await })
            .await?;
        for network in TEXT.into_iter().chain([HANDLE]) {
            for i in 0..accounts {
                let account = format!("{network}{i}");
                let (workspace, url) = (&stage.workspace, stage.sandbox.url());
                let connection = connect(&life.app, workspace, &url, network, &account).await?;
                stage.targets.push(Target { network, account, connection });
            }
        }
        let picture = futures_util::stream::iter([Ok::<_, std::io::Error>(jpeg()?.into())]);
        let media = intake::upload(&life.app, &stage.workspace, "dot.jpg", "A dot", picture);
        stage.picture = media.await.map_err(|e| anyhow::anyhow!("no picture: {e:?}"))?.id;
        life.worker.tick().await?;
        Ok(stage)
    }

    /// Starts the product as `carillon serve` does, without its loops: whoever tests says when
    /// time goes by.
    pub(crate) async fn begin(
        &self,
        folder: &Path,
        more: &[(&str, String)],
        clock: Clock,
    ) -> anyhow::Result<Life> {
        *self.time.lock().unwrap_or_else(|e| e.into_inner()) = clock.clone();
        let mut settings = BTreeMap::from([
            ("CARILLON_DATA", folder.display().to_string()),
            ("CARILLON_SANDBOX", self.sandbox.url()),
        ]);
        settings.extend(more.iter().cloned());
        let config = Config::read(|name| settings.get(name).cloned())
            .map_err(|wrong| anyhow::anyhow!(wrong.join("; ")))?;
        let app = App::open(config, clock.clone()).await?;
        publishing::sweep::at_start(&app, Vec::new()).await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        // `serve` would set it too late for the first step.
        app.url.get_or_init(|| format!("http://{}", local(&listener)));
        let serving = carillon::web::serve::serve(app.clone(), listener, std::future::pending());
        let serving = tokio::spawn(serving);
        Ok(Life { worker: Worker::new(app.clone()), app, clock, serving })
    }

    /// Writes one post to every target for each of these texts, all at once: in words alone, and
    /// with the picture where one is needed. What the product answered is told, whatever it was.
    pub(crate) async fn post(&self, app: &App, texts: &[String]) -> Vec<Told> {
        let parts = texts.iter().flat_map(|text| [(text, false), (text, true)]);
        let posts = parts.map(|(text, handle)| async move {
            let targets: Vec<Target> =
                self.targets.iter().filter(|t| (t.network == HANDLE) == handle).cloned().collect();
            let text = format!("{text} {}", if handle { "in a picture" } else { "in words" });
            let draft = Draft {
                text: text.clone(),
                timezone: Some("Europe/London".into()),
                media: if handle { vec![self.picture.clone()] } else { Vec::new() },
                deliveries: targets.iter().map(|t| to(&t.connection)).collect(),
                allow_collision: true,
                allow_duplicate: true,
                ..Draft::default()
            };
            let refused = schedule::create(app, &self.workspace, draft, None).await.err();
            Told { text, targets, refused }
        });
        futures_util::future::join_all(posts).await
    }

    /// Every delivery of the workspace, by its post's text and connection.
    pub(crate) async fn deliveries(
        &self,
        app: &App,
    ) -> anyhow::Result<BTreeMap<(String, String), DeliveryView>> {
        let mut all = BTreeMap::new();
        let mut cursor = None;
        loop {
            let query = view::Query { from: Some(0), limit: 500, cursor, ..view::Query::default() };
            let page = view::list(app, &self.workspace, query).await?;
            for post in page.items {
                for d in post.deliveries {
                    all.insert((post.text.clone(), d.connection_id.clone()), d);
                }
            }
            cursor = page.next;
            if cursor.is_none() {
                return Ok(all);
            }
        }
    }

    /// How many posts with this text followers of this account see.
    fn visible(&self, target: &Target, text: &str) -> usize {
        let ledger = self.sandbox.ledger(target.network);
        let ours = ledger.iter().filter(|p| p.deleted_at.is_none() && p.account == target.account);
        ours.filter(|p| p.text.contains(text)).count()
    }

    /// Counts what became of what was told; what is wrong, in words.
    pub(crate) async fn judge(
        &self,
        app: &App,
        told: &[Told],
        counts: &mut Counts,
    ) -> anyhow::Result<Vec<String>> {
        let kept = self.deliveries(app).await?;
        let mut wrong = Vec::new();
        for post in told {
            for target in &post.targets {
                let seen = self.visible(target, &post.text);
                let d = kept.get(&(post.text.clone(), target.connection.clone()));
                let fate = fate(d, seen, post.refused.is_none());
                match fate {
                    Fate::Once => {}
                    Fate::Asked => counts.held += 1,
                    Fate::Lost => counts.lost += 1,
                    Fate::Doubled => counts.doubled += 1,
                }
                if matches!(fate, Fate::Lost | Fate::Doubled) {
                    let mut said = format!("`{}` at {}: ", post.text, target.account);
                    said += &format!("{seen} visible, refused {:?}, ", post.refused);
                    if let Some(d) = d {
                        said += &format!("{}, {:?}", d.state, d.problem);
                        for a in view::attempts(app, &self.workspace, &d.id).await? {
                            let word = a.outcome.unwrap_or_default();
                            said += &format!("\n  {} {} {} {word}", a.started_at, a.fence, a.step);
                        }
                    }
                    wrong.push(said);
                }
            }
        }
        Ok(wrong)
    }
}

enum Fate {
    Once,
    /// A person is asked, on a network that cannot be read.
    Asked,
    Lost,
    Doubled,
}

fn fate(d: Option<&DeliveryView>, seen: usize, taken: bool) -> Fate {
    match (d, seen) {
        (_, 2..) => Fate::Doubled,
        // Refused, and not there: that is one thing.
        (None, 0) if !taken => Fate::Once,
        (None, _) => Fate::Lost,
        (Some(d), 1) if d.state == State::Published && d.remote_id.is_some() => Fate::Once,
        (Some(d), _) if d.state == State::Held && is_blind(d) && d.question.is_some() => {
            Fate::Asked
        }
        (Some(_), _) => Fate::Lost,
    }
}

fn is_blind(d: &DeliveryView) -> bool {
    carillon_networks::find(&d.network)
        .and_then(|n| n.spec().placement(&d.placement))
        .is_some_and(|p| p.send == SendClass::Blind)
}

impl Life {
    /// Runs what is due. Where the database is `troubled`, time goes by meanwhile: what waits for
    /// it waits by the clock.
    pub(crate) async fn work(&self, troubled: &dyn Fn() -> bool) -> Result<(), Error> {
        let mut tick = pin!(self.worker.tick());
        loop {
            tokio::select! {
                ran = &mut tick => return ran.map(drop),
                () = tokio::time::sleep(Duration::from_millis(2)) => {
                    if troubled() {
                        self.clock.advance(Duration::from_millis(500));
                    }
                }
            }
        }
    }

    /// Runs what is due and moves the clock from one due time to the next, until nothing is under
    /// way or this much time is over.
    pub(crate) async fn to_quiet(
        &self,
        stage: &Stage,
        most: Duration,
        troubled: &dyn Fn() -> bool,
    ) -> anyhow::Result<()> {
        let end = self.clock.now() + most.as_millis() as i64;
        loop {
            self.work(troubled).await?;
            // As the clockwork does: whoever met a fault may have left a lease behind.
            publishing::sweep::sweep(&self.app, false).await?;
            let all = stage.deliveries(&self.app).await?;
            if all.values().all(|d| !d.state.active()) || self.clock.now() >= end {
                return Ok(());
            }
            let now = self.clock.now();
            let next = self.next_due().await?.unwrap_or(end).min(now + 61_000).clamp(now + 1, end);
            self.clock.advance(Duration::from_millis((next - now) as u64));
        }
    }

    async fn next_due(&self) -> Result<Option<i64>, Error> {
        self.app
            .db
            .read(|tx| async move {
                let mut next = None::<i64>;
                for pool in Pool::ALL {
                    if let Some(at) = queue::next_at(&tx, *pool).await? {
                        next = Some(next.map_or(at, |n| n.min(at)));
                    }
                }
                Ok(next)
            })
            .await
    }
}

/// Connects `account` at a network of the sandbox at this address; the connection's id.
pub(crate) async fn connect(
    app: &App,
    workspace: &str,
    sandbox: &str,
    network: &str,
    account: &str,
) -> anyhow::Result<String> {
    let fields = carillon_sandbox::fields(network, account, &format!("{sandbox}/{network}"));
    let new = New {
        network: network.to_owned(),
        name: Some(account.to_owned()),
        credentials: fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
        ..New::default()
    };
    let added = connecting::add(app, workspace, new).await;
    Ok(added.map_err(|e| anyhow::anyhow!("{network} does not take {account}: {e:?}"))?.id)
}

fn to(connection: &str) -> DraftDelivery {
    DraftDelivery { connection_id: connection.to_owned(), ..DraftDelivery::default() }
}

/// A small JPEG that every network takes.
pub(crate) fn jpeg() -> anyhow::Result<Vec<u8>> {
    let side = 480;
    let pixels: Vec<u8> =
        (0..side * side).flat_map(|i| [(i % side / 2) as u8, (i / side / 2) as u8, 128]).collect();
    let mut jpeg = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut jpeg, 80);
    encoder.encode(&pixels, side as u16, side as u16, jpeg_encoder::ColorType::Rgb)?;
    Ok(jpeg)
}

fn local(listener: &TcpListener) -> String {
    listener.local_addr().map_or_else(|_| String::new(), |a| a.to_string())
}
