//! An installation that the shipped binary serves: its settings, its accounts at the sandbox, and
//! its REST API as a client sees it.
//!
//! It is furnished in this process, through the product's own functions, before the binary starts;
//! from then on everything goes over HTTP.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use carillon::clock::Clock;
use carillon::config::Config;
use carillon::identity::door;
use carillon::media::intake;
use carillon::queue::worker::Worker;
use carillon::store::accounts::{self, Workspace};
use carillon::{App, ids};
use serde_json::Value;

use crate::stage;

/// No answer of the API takes longer, or it is asked again.
const PATIENCE: Duration = Duration::from_secs(15);

/// Who posts where.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub network: &'static str,
    pub name: String,
    pub connection: String,
}

pub(crate) struct Installation {
    /// By their names in the environment.
    pub settings: BTreeMap<String, String>,
    pub accounts: Vec<Account>,
    /// The id of a picture that every network takes.
    pub picture: String,
    pub api: Api,
}

/// The REST API of the running binary.
#[derive(Clone)]
pub(crate) struct Api {
    http: reqwest::Client,
    pub url: String,
    key: String,
}

impl Installation {
    /// Connects these accounts (network, name) at the sandbox, uploads a picture and makes a key.
    /// CARILLON_PUBLIC_URL among the settings says where it will be served.
    pub(crate) async fn furnish(
        settings: BTreeMap<String, String>,
        wanted: &[(&'static str, String)],
    ) -> Result<Self> {
        let config = Config::read(|name| settings.get(name).cloned())
            .map_err(|wrong| anyhow::anyhow!(wrong.join("; ")))?;
        let clock = Clock::system();
        let app = App::open(config, clock.clone()).await?;
        let now = clock.now();
        let w = Workspace {
            id: ids::new(now),
            name: "The Anchor".into(),
            timezone: "Europe/London".into(),
            demo_at: None,
        };
        let workspace = w.id.clone();
        let made = app.db.write(move |tx| async move {
            accounts::add_workspace(&tx, &w, now).await?;
            door::make_key(&tx, &w.id, "prove", now).await
        });
        let key = made.await?;
        let sandbox = settings.get("CARILLON_SANDBOX").context("the settings name a sandbox")?;
        let mut accounts = Vec::new();
        for (network, name) in wanted {
            let connection = stage::connect(&app, &workspace, sandbox, network, name).await?;
            accounts.push(Account { network, name: name.clone(), connection });
        }
        let picture = futures_util::stream::iter([Ok::<_, std::io::Error>(stage::jpeg()?.into())]);
        let media = intake::upload(&app, &workspace, "dot.jpg", "A dot", picture);
        let picture = media.await.map_err(|e| anyhow::anyhow!("no picture: {e:?}"))?.id;
        // Its derivatives.
        Worker::new(app.clone()).tick().await?;
        let url = settings.get("CARILLON_PUBLIC_URL").context("the settings say where it is")?;
        let api = Api {
            http: reqwest::Client::builder().timeout(PATIENCE).build()?,
            url: url.clone(),
            key,
        };
        Ok(Self { settings, accounts, picture, api })
    }
}

impl Api {
    /// Creates a post under this key; `None` when it was not heard whether it stands, or cannot be
    /// taken now: then the same is to be asked again.
    pub(crate) async fn create(&self, key: &str, draft: &Value) -> Result<Option<()>> {
        let asked = self.http.post(format!("{}/api/v1/posts", self.url)).bearer_auth(&self.key);
        let Ok(answer) = asked.header("idempotency-key", key).json(draft).send().await else {
            return Ok(None);
        };
        let status = answer.status();
        let said = answer.text().await;
        if status.is_success() {
            return Ok(said.ok().map(drop));
        }
        // 409: the same key is being answered at this moment.
        ensure!(
            status.is_server_error() || status == reqwest::StatusCode::CONFLICT,
            "a post is refused: {status} {}",
            said.unwrap_or_default()
        );
        Ok(None)
    }

    /// What an address answers, whatever its status.
    pub(crate) async fn get(&self, path: &str) -> Result<(u16, Value)> {
        let asked = self.http.get(format!("{}{path}", self.url)).bearer_auth(&self.key);
        let answer = asked.send().await?;
        let (status, text) = (answer.status().as_u16(), answer.text().await?);
        // Probes answer a word.
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    /// What a browser is shown.
    pub(crate) async fn page(&self, path: &str) -> Result<(u16, String)> {
        let asked = self.http.get(format!("{}{path}", self.url)).header("accept", "text/html");
        let answer = asked.bearer_auth(&self.key).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// Does nothing wait any more, in any connection's lane?
    pub(crate) async fn quiet(&self) -> Result<bool> {
        let (status, lanes) = self.get("/api/v1/queue/lanes").await?;
        let lanes = lanes["items"].as_array().with_context(|| format!("no lanes: {status}"))?;
        let open = |lane: &Value| ["waiting", "delayed", "active"].iter().any(|n| lane[n] != 0);
        Ok(!lanes.iter().any(open))
    }

    /// Every delivery, with its post's text.
    pub(crate) async fn deliveries(&self) -> Result<Vec<(String, Value)>> {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/api/v1/posts?from=2000-01-01T00:00:00Z&limit=500&cursor={cursor}");
            let (status, page) = self.get(&path).await?;
            let posts = page["items"].as_array().with_context(|| format!("{status}: {page}"))?;
            for post in posts {
                let text = post["text"].as_str().context("a text")?;
                let deliveries = post["deliveries"].as_array().context("deliveries")?;
                all.extend(deliveries.iter().map(|d| (text.to_owned(), d.clone())));
            }
            match page["next"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => return Ok(all),
            }
        }
    }
}
