//! The demo: a workspace on a built-in sandbox, with connections and posts, ready to use.

use std::collections::BTreeMap;
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use carillon_sandbox::{Calls, Fault, Options, Sandbox, Trouble};
use futures_util::stream;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::domain::when;
use crate::identity::{door, keys};
use crate::media::intake;
use crate::media::scratch::Scratch;
use crate::publishing::connecting::{self, New};
use crate::publishing::schedule::{self, Draft, DraftDelivery};
use crate::store::accounts::{self, Account, Workspace};
use crate::store::connections;
use crate::{App, ids};

const FILE: &str = "demo.json";
/// For the sandbox of a demo to take a connection: it is on this machine.
const PATIENCE: Duration = Duration::from_millis(500);

/// What scripts need to use the demo; kept in the data folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ready {
    pub url: String,
    pub api_key: String,
    pub sandbox_url: String,
    /// Signs in once.
    pub login_url: String,
}

impl Ready {
    fn read(file: &Path) -> Option<Self> {
        std::fs::read_to_string(file).ok().and_then(|text| serde_json::from_str(&text).ok())
    }

    pub(super) fn welcome(&self) -> String {
        format!(
            "\n  Carillon is ready. Sign in (the link works once):\n\n    {}\n\n  What followers see: {}\n  For programs: `Authorization: Bearer` with the apiKey in demo.json of the data folder.\n",
            self.login_url, self.sandbox_url
        )
    }
}

/// Whoever works on the data folder of a demo that runs now means its sandbox as well: its accounts
/// are nowhere else, and a check against the real networks would break them.
pub(super) fn joined(mut config: Config) -> Config {
    if config.networks.sandbox.is_empty()
        && let Some(demo) = Ready::read(&config.data.dir.join(FILE))
        && answers(&demo.sandbox_url)
    {
        config.networks.sandbox = demo.sandbox_url;
    }
    config
}

fn answers(url: &str) -> bool {
    let Some(address) = url.strip_prefix("http://") else { return false };
    let Ok(found) = address.to_socket_addrs() else { return false };
    found.into_iter().any(|at| TcpStream::connect_timeout(&at, PATIENCE).is_ok())
}

/// A demo being started: its sandbox runs as long as this process.
pub(super) struct Demo {
    file: PathBuf,
    sandbox_url: String,
    /// `None` when the sandbox is another process's.
    own: Option<Sandbox>,
    before: Option<Ready>,
}

impl Demo {
    /// Starts the sandbox, unless one was named, and lets it stand in for every network.
    pub(super) async fn begin(given: &mut BTreeMap<String, String>) -> anyhow::Result<Self> {
        let config = super::settings(given)?;
        std::fs::create_dir_all(&config.data.dir)?;
        let file = config.data.dir.join(FILE);
        let before = Ready::read(&file);
        let (own, sandbox_url) = if config.networks.sandbox.is_empty() {
            let sandbox = Sandbox::start(([127, 0, 0, 1], 0).into(), Options::default())
                .await
                .context("the sandbox cannot start")?;
            let url = sandbox.url();
            // Mail has a port of its own.
            let mail = sandbox.mail();
            let hosts = config.networks.allow_hosts.iter().chain(mail.as_ref());
            let hosts: Vec<_> = hosts.map(String::as_str).collect();
            given.insert("CARILLON_ALLOW_HOSTS".into(), hosts.join(","));
            given.insert("CARILLON_SANDBOX".into(), url.clone());
            (Some(sandbox), url)
        } else {
            (None, config.networks.sandbox)
        };
        Ok(Self { file, sandbox_url, own, before })
    }

    /// Makes the workspace at the first start; afterwards lets its connections find the sandbox
    /// where it is now.
    pub(super) async fn fill(self, app: &App) -> anyhow::Result<Ready> {
        let known = app.db.read(|tx| async move { accounts::workspaces(&tx).await }).await?;
        let demo = known.into_iter().find(|w| w.demo_at.is_some());
        let (workspace, account) = match &demo {
            Some(w) => {
                self.follow_sandbox(app, &w.id).await?;
                (w.id.clone(), self.account(app).await?)
            }
            None => self.make(app).await?,
        };
        let now = app.clock.now();
        let kept = self.before.as_ref().filter(|_| demo.is_some()).map(|b| b.api_key.clone());
        let (link, api_key) = app
            .db
            .write(move |tx| async move {
                let link = door::make_link(&tx, &account, &workspace, now).await?;
                let key = match kept {
                    Some(key) => key,
                    // Whoever looks at the demo is the one who approves in it.
                    None => {
                        let key = door::make_key(&tx, &workspace, "demo", now).await?;
                        accounts::let_approve(&tx, &door::hash(&key), true).await?;
                        key
                    }
                };
                Ok::<_, crate::db::Error>((link, key))
            })
            .await?;
        let url = app.public_url();
        let login_url = format!("{url}/login/{link}");
        let ready = Ready { url, api_key, sandbox_url: self.sandbox_url.clone(), login_url };
        keys::write_private(&self.file, &serde_json::to_string_pretty(&ready)?)?;
        if let Some(sandbox) = self.own {
            // The sandbox stops with its last handle: it is to last as long as the process.
            std::mem::forget(sandbox);
        }
        Ok(ready)
    }

    async fn account(&self, app: &App) -> anyhow::Result<String> {
        let found =
            app.db.read(|tx| async move { accounts::account_by_email(&tx, EMAIL).await }).await?;
        Ok(found.context("the demo's account is gone: start with another --data folder")?.id)
    }

    /// The built-in sandbox takes a free port at each start.
    async fn follow_sandbox(&self, app: &App, workspace: &str) -> anyhow::Result<()> {
        let Some(old) = self.before.as_ref().map(|b| b.sandbox_url.clone()) else { return Ok(()) };
        let (workspace, new) = (workspace.to_owned(), self.sandbox_url.clone());
        app.db
            .write(move |tx| async move {
                for mut c in connections::list(&tx, &workspace).await? {
                    let Some(server) = c.settings.get("server") else { continue };
                    if let Some(path) = server.strip_prefix(&old) {
                        let moved = format!("{new}{path}");
                        c.settings.insert("server".into(), moved);
                        connections::save(&tx, &c).await?;
                    }
                }
                Ok::<_, crate::db::Error>(())
            })
            .await?;
        Ok(())
    }

    async fn make(&self, app: &App) -> anyhow::Result<(String, String)> {
        let now = app.clock.now();
        let zone = std::env::var("TZ").ok().filter(|z| when::zone(z).is_ok());
        let workspace = Workspace {
            id: ids::new(now),
            name: "The Anchor".into(),
            timezone: zone.unwrap_or_else(|| "Europe/London".into()),
            demo_at: Some(now),
        };
        let account = Account {
            id: ids::new(now),
            email: EMAIL.into(),
            name: "Alex Moor".into(),
            password_hash: None,
        };
        let (w, a) = (workspace.clone(), account.clone());
        app.db
            .write(move |tx| async move {
                accounts::add_workspace(&tx, &w, now).await?;
                accounts::add_account(&tx, &a, &w.id, "owner", now).await
            })
            .await?;
        let mut connected = BTreeMap::new();
        for new in accounts_at(&self.sandbox_url) {
            let network = new.network.clone();
            let made = connecting::add(app, &workspace.id, new).await?;
            connected.insert(network, made.id);
        }
        self.write_posts(app, &workspace, &connected).await?;
        Ok((workspace.id, account.id))
    }

    async fn write_posts(
        &self,
        app: &App,
        workspace: &Workspace,
        connected: &BTreeMap<String, String>,
    ) -> anyhow::Result<()> {
        if let Some(sandbox) = &self.own {
            // One answer gets lost on the way: the demo shows what Carillon asks then.
            sandbox.add_fault(Fault::new("telegram", Calls::Publish, Trouble::ResetAfterAccept));
        }
        let mut pictures = Vec::new();
        for (name, alt, hue) in PICTURES {
            let body = stream::iter([Ok::<_, std::io::Error>(Bytes::from(picture(*hue)?))]);
            pictures.push(intake::upload(app, &workspace.id, name, alt, body).await?.id);
        }
        // Without ffmpeg the demo has pictures only.
        let film = match film(app).await {
            Some(film) => {
                let body = stream::iter([Ok::<_, std::io::Error>(film)]);
                let alt = "Waves of light that roll over the harbour";
                Some(intake::upload(app, &workspace.id, "tide.mp4", alt, body).await?.id)
            }
            None => None,
        };
        let today = when::local(app.clock.now(), &workspace.timezone);
        let today: jiff::civil::Date = today.split(' ').next().unwrap_or_default().parse()?;
        for p in POSTS {
            let day = today.checked_add(jiff::Span::new().days(p.day))?;
            let deliveries = p
                .networks
                .iter()
                .filter_map(|n| connected.get(*n))
                .map(|id| DraftDelivery { connection_id: id.clone(), ..DraftDelivery::default() })
                .collect();
            let draft = Draft {
                text: p.text.into(),
                media: p.picture.map(|i| pictures[i].clone()).into_iter().collect(),
                scheduled_at: (p.day > 0).then(|| format!("{day}T{}", p.time)),
                timezone: Some(workspace.timezone.clone()),
                draft: p.draft,
                deliveries,
                ..Draft::default()
            };
            match schedule::create(app, &workspace.id, draft, None).await {
                Ok(_) => {}
                Err(e) => return Err(e).context("the demo's own posts must fit"),
            }
        }
        if let Some(film) = film {
            let day = today.checked_add(jiff::Span::new().days(8))?;
            let to = ["bluesky", "mastodon"].iter().filter_map(|n| connected.get(*n));
            let draft = Draft {
                text: "The tide from the window seats, in four seconds. #harbour".into(),
                media: vec![film],
                scheduled_at: Some(format!("{day}T17:00")),
                timezone: Some(workspace.timezone.clone()),
                deliveries: to
                    .map(|id| DraftDelivery {
                        connection_id: id.clone(),
                        ..DraftDelivery::default()
                    })
                    .collect(),
                ..Draft::default()
            };
            let made = schedule::create(app, &workspace.id, draft, None).await;
            made.context("the demo's own video must fit")?;
        }
        Ok(())
    }
}

const EMAIL: &str = "demo@carillon.example";

/// Where nobody has an account yet: how to make the first one.
pub(super) async fn first_run(app: &App) -> anyhow::Result<Option<String>> {
    let link = crate::web::pages::setup::link(app).await?;
    Ok(link.map(|url| {
        format!("\n  Nobody has an account here yet. Make the first one:\n\n    {url}\n")
    }))
}

/// The sandbox knows every account by a token that carries its name.
fn accounts_at(sandbox: &str) -> Vec<New> {
    let new = |network: &str, name: &str, settings: &[(&str, String)], secret: (&str, &str)| New {
        network: network.into(),
        name: Some(name.into()),
        settings: settings.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect(),
        credentials: [(secret.0.to_owned(), secret.1.to_owned())].into(),
    };
    let token = "sandbox-the_anchor";
    vec![
        new("facebook", "The Anchor", &[("pageId", "the_anchor".into())], ("accessToken", token)),
        new(
            "instagram",
            "@the_anchor",
            &[("igBusinessId", "the_anchor".into())],
            ("accessToken", token),
        ),
        new(
            "bluesky",
            "the-anchor.test",
            &[("identifier", "the-anchor.test".into())],
            ("password", "sandbox-the-anchor"),
        ),
        new(
            "mastodon",
            "@the_anchor",
            &[("server", format!("{sandbox}/mastodon"))],
            ("accessToken", token),
        ),
        new(
            "wordpress",
            "The Anchor's site",
            &[("server", format!("{sandbox}/wordpress")), ("username", "the_anchor".into())],
            ("applicationPassword", token),
        ),
        new(
            "telegram",
            "Anchor news",
            &[("chatId", "@anchor_news".into())],
            ("botToken", "100200:sandbox-the_anchor"),
        ),
    ]
}

struct Sample {
    /// Days from today; 0 goes out now.
    day: i64,
    time: &'static str,
    networks: &'static [&'static str],
    picture: Option<usize>,
    draft: bool,
    text: &'static str,
}

const fn sample(
    day: i64,
    time: &'static str,
    networks: &'static [&'static str],
    picture: Option<usize>,
    text: &'static str,
) -> Sample {
    Sample { day, time, networks, picture, draft: false, text }
}

const PICTURES: &[(&str, &str, f32)] = &[
    ("harbour-dusk.jpg", "The harbour in front of the pub at dusk, lights on the water", 215.0),
    ("sunday-roast.jpg", "A plate of roast beef with Yorkshire pudding in warm light", 28.0),
    ("live-music.jpg", "A small stage in violet light before the band comes on", 285.0),
];

const ALL: &[&str] = &["facebook", "instagram", "bluesky", "mastodon"];
const WORDS: &[&str] = &["facebook", "bluesky", "mastodon"];

const POSTS: &[Sample] = &[
    sample(
        0,
        "",
        ALL,
        Some(0),
        "The lights on the harbour are on again. Come and see them from the window seats. #harbour",
    ),
    sample(0, "", &["telegram"], None, "Tonight: kitchen open until ten."),
    sample(
        0,
        "",
        &["wordpress"],
        Some(1),
        "What goes into our Sunday roast\nThe beef comes from two miles up the road, the potatoes from next door.\n\nBook by Friday: we cook for those who booked.",
    ),
    sample(
        1,
        "09:00",
        ALL,
        Some(1),
        "Sunday roast: book by Friday, we cook for those who booked. #sundayroast",
    ),
    sample(
        2,
        "17:30",
        WORDS,
        None,
        "Quiz night at eight. Teams of up to six; the winners choose next week's charity.",
    ),
    sample(
        3,
        "12:00",
        &["facebook", "mastodon"],
        None,
        "New on tap: a pale ale from the brewery across the river.",
    ),
    sample(
        4,
        "18:00",
        ALL,
        Some(2),
        "Live music on Friday: The Low Tides, from nine. Free entry. #livemusic",
    ),
    sample(
        5,
        "10:00",
        &["telegram", "bluesky"],
        None,
        "The garden heaters are back. Blankets too.",
    ),
    sample(
        7,
        "09:00",
        WORDS,
        None,
        "Mondays are for locals: a main and a pint for fifteen pounds.",
    ),
    sample(
        9,
        "16:00",
        &["wordpress"],
        Some(2),
        "The Low Tides, and how we book bands\nEverybody who plays here sends us a tape and comes for a pint first.",
    ),
    sample(11, "18:00", ALL, Some(0), "Sunset at half past four and the stove is lit. #harbour"),
    sample(
        14,
        "09:00",
        WORDS,
        None,
        "Two weeks to the winter market. Stalls are still free: write to us.",
    ),
    sample(
        18,
        "12:00",
        ALL,
        Some(1),
        "Christmas menus are out. Groups from eight, book by the tenth.",
    ),
    Sample {
        day: 6,
        time: "12:00",
        networks: ALL,
        picture: Some(2),
        draft: true,
        text: "Open mic: who wants to go first?",
    },
];

/// A picture of this hue, drawn here: sky, sea, a sun.
fn picture(hue: f32) -> anyhow::Result<Vec<u8>> {
    const W: usize = 1600;
    const H: usize = 1200;
    let mut pixels = Vec::with_capacity(W * H * 3);
    for y in 0..H {
        for x in 0..W {
            let (fx, fy) = (x as f32 / W as f32, y as f32 / H as f32);
            let sun = 1.0 - (((fx - 0.68) * 1.33).hypot(fy - 0.42) / 0.16).min(1.0);
            let wave =
                ((fx * 26.0 + (fy * 90.0).sin() * 1.6).sin() * 0.5 + 0.5) * (fy - 0.6).max(0.0);
            let light = if fy < 0.6 { 0.86 - fy * 0.55 } else { 0.30 + wave * 0.5 } + sun * 0.35;
            let warm = hue + if fy < 0.6 { fy * 40.0 } else { -12.0 };
            pixels.extend(rgb(warm, 0.45 + sun * 0.3, light.clamp(0.0, 1.0)));
        }
    }
    Ok(carillon_pictures::drawn(&mut pixels, W as u32, H as u32)?.data)
}

/// Four seconds of a film, drawn by ffmpeg where there is one.
async fn film(app: &App) -> Option<Bytes> {
    let scratch = Scratch::new(app).await.ok()?;
    let file = scratch.file("tide.mp4");
    let scene = "gradients=size=640x480:rate=25:duration=4:c0=0x16324f:c1=0xe0a458:speed=0.02";
    let drawn = tokio::process::Command::new(&app.config.media.ffmpeg)
        .args(["-nostdin", "-v", "error", "-f", "lavfi", "-i", scene])
        .args(["-c:v", "libx264", "-pix_fmt", "yuv420p"])
        .arg(&file)
        .output()
        .await;
    match drawn {
        Ok(drawn) if drawn.status.success() => tokio::fs::read(&file).await.ok().map(Bytes::from),
        Ok(drawn) => {
            let said = String::from_utf8_lossy(&drawn.stderr);
            tracing::warn!(%said, "the demo has no video");
            None
        }
        Err(e) => {
            tracing::info!(error = %e, "without ffmpeg the demo has no video");
            None
        }
    }
}

/// HSL to 8-bit RGB; hue in degrees, the others 0 to 1.
fn rgb(hue: f32, saturation: f32, light: f32) -> [u8; 3] {
    let a = saturation.min(1.0) * light.min(1.0 - light);
    let channel = |n: f32| {
        let k = (n + hue / 30.0).rem_euclid(12.0);
        let v = light - a * (k - 3.0).min(9.0 - k).clamp(-1.0, 1.0);
        (v.clamp(0.0, 1.0) * 255.0) as u8
    };
    [channel(0.0), channel(8.0), channel(4.0)]
}
