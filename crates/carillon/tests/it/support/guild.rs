//! A network that only one test knows: its tokens live as the test says, and it remembers what was
//! asked of it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use carillon::App;
use carillon::app::Networks;
use carillon::config::Config;
use carillon_networks::http::Reply;
use carillon_networks::oauth::{Grant, Life, OAuth, SecretIn, Target, Tokens};
use carillon_networks::spec::{Field, Placement};
use carillon_networks::{
    Class, Context, Error, Identity, Network, Published, Remote, Rendition, Secret, SendClass, Spec,
};

use super::TestApp;

pub struct Guild {
    spec: &'static Spec,
    state: Mutex<State>,
}

/// What the guild knows and does. Times in ms.
#[derive(Default)]
pub struct State {
    /// How long an access token lives.
    pub access_ms: i64,
    /// How long what renews it lives: from each renewal on, or (`fixed_end`) until a date.
    pub refresh_ms: Option<i64>,
    pub fixed_end: Option<i64>,
    /// Whose token it is, and since when it ends.
    pub access: String,
    pub ends: i64,
    pub refresh: String,
    pub issued: u64,
    /// How often tokens were asked for, and how often a token was refused.
    pub asked: usize,
    pub turned_away: usize,
    /// How many of the next renewals get no answer, or an empty one.
    pub away: usize,
    pub blank: usize,
    /// No longer accepts the consent.
    pub closed: bool,
    /// Refuses every token.
    pub strict: bool,
    pub posts: Vec<String>,
    /// What a consent grants; `None`: everything.
    pub scopes: Option<Vec<String>>,
    pub targets: Vec<Target>,
    pub given_back: Vec<String>,
}

const fn field(key: &'static str, secret: bool, required: bool) -> Field {
    Field { key, label: key, help: "The guild's own.", secret, required }
}
const FIELDS: &[Field] = &[
    field("hall", false, false),
    field("accessToken", true, true),
    field("refreshToken", true, false),
];
const HALLS: &[Field] = &[
    field("hall", false, true),
    field("accessToken", true, true),
    field("refreshToken", true, false),
];
pub const SCOPES: &[&str] = &["read", "write"];

impl Guild {
    /// One whose tokens live so.
    pub fn new(life: Life, state: State) -> &'static Self {
        Self::of(Spec { life, fields: FIELDS, ..Spec::bare("guild", places()) }, state)
    }

    /// One with a consent page, whose halls are posted to.
    pub fn with_page(life: Life, state: State) -> &'static Self {
        let oauth = OAuth {
            authorize: "http://bare.invalid/consent",
            token: "http://bare.invalid/token",
            scopes: SCOPES,
            reading: &[],
            separator: ' ',
            pkce: true,
            id_param: "client_id",
            secret_in: SecretIn::Body,
            params: &[],
            guide: &["Ask the guild."],
        };
        let fields = if state.targets.is_empty() { FIELDS } else { HALLS };
        let bare = Spec::bare("guild", places());
        Self::of(Spec { life, fields, oauth: Some(oauth), ..bare }, state)
    }

    fn of(spec: Spec, state: State) -> &'static Self {
        let spec = Box::leak(Box::new(spec));
        Box::leak(Box::new(Self { spec, state: Mutex::new(state) }))
    }

    /// The installation of this test, which knows the guild alone.
    pub async fn install(&'static self, t: &TestApp) -> App {
        let config = Config::read(|name| t.settings.get(name).cloned()).expect("as before");
        let networks: Networks = Box::leak(Box::new([self as &dyn Network]));
        App::open_with(config, t.clock.clone(), networks).await.expect("the app opens")
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// How often tokens were asked for, and how often one was refused.
    pub fn counts(&self) -> (usize, usize) {
        let state = self.state();
        (state.asked, state.turned_away)
    }

    /// Hands out tokens as to somebody who entered them by hand.
    pub fn hand_out(&self, now: i64) -> BTreeMap<String, String> {
        let tokens = self.state().issue(now);
        let mut all = BTreeMap::from([("accessToken".to_owned(), tokens.access.reveal().into())]);
        if let Some(refresh) = tokens.refresh {
            all.insert("refreshToken".into(), refresh.reveal().into());
        }
        all
    }
}

fn places() -> &'static [Placement] {
    static PLACES: [Placement; 1] = [Placement::bare(SendClass::Blind)];
    &PLACES
}

impl State {
    fn issue(&mut self, now: i64) -> Tokens {
        self.issued += 1;
        self.access = format!("access-{:08}", self.issued);
        self.ends = now + self.access_ms;
        let refresh_ends = self.fixed_end.or(self.refresh_ms.map(|ms| now + ms));
        let renews = self.refresh_ms.is_some() || self.fixed_end.is_some();
        self.refresh = if renews { format!("refresh-{:08}", self.issued) } else { String::new() };
        let span = |ms: i64| Duration::from_millis(ms.max(0) as u64);
        Tokens {
            access: Secret::new(self.access.clone()),
            refresh: renews.then(|| Secret::new(self.refresh.clone())),
            expires_in: Some(span(self.access_ms)),
            refresh_expires_in: refresh_ends.map(|at| span(at - now)),
            scopes: self.scopes.clone(),
        }
    }

    fn takes(&mut self, cx: &Context<'_>) -> Result<(), Error> {
        let token = cx.account.secret("accessToken")?;
        if token.reveal() == self.access && cx.now < self.ends && !self.strict {
            return Ok(());
        }
        self.turned_away += 1;
        Err(Error::new(Class::Auth, "The guild refuses the token.").status(401))
    }
}

#[async_trait]
impl Network for Guild {
    fn spec(&self) -> &'static Spec {
        self.spec
    }

    async fn check(&self, cx: &Context<'_>) -> Result<Identity, Error> {
        self.state().takes(cx)?;
        let hall = cx.account.settings.get("hall").cloned().unwrap_or_else(|| "guild".into());
        Ok(Identity { name: format!("The {hall}"), remote_id: hall, settings: BTreeMap::new() })
    }

    async fn publish(&self, cx: &Context<'_>, out: &Rendition) -> Result<Published, Error> {
        let mut state = self.state();
        state.takes(cx)?;
        state.posts.push(out.text.clone());
        Ok(Published::Accepted(Remote { id: out.key.clone(), url: None }))
    }

    async fn exchange(&self, cx: &Context<'_>, grant: &Grant) -> Result<Tokens, Error> {
        cx.account.secret("clientSecret")?;
        if grant.code.reveal() != "good" {
            return Err(Error::new(Class::Auth, "The guild does not know this code."));
        }
        Ok(self.state().issue(cx.now))
    }

    async fn refresh(&self, cx: &Context<'_>) -> Result<Tokens, Error> {
        self.state().asked += 1;
        // Time for others to come.
        tokio::time::sleep(Duration::from_millis(30)).await;
        let mut state = self.state();
        if state.away > 0 {
            state.away -= 1;
            return Err(Error::new(Class::Transient, "The guild does not answer."));
        }
        let held = match self.spec.life {
            Life::Extending => cx.account.secret("accessToken")?.reveal() == state.access,
            _ => cx.account.secret("refreshToken")?.reveal() == state.refresh,
        };
        let over = match self.spec.life {
            Life::Extending => cx.now >= state.ends,
            _ => state.fixed_end.is_some_and(|end| cx.now >= end),
        };
        if state.closed || over || !held {
            // Used twice: somebody has a copy.
            state.closed |= !held;
            let says = "The guild no longer accepts this consent: connect again.";
            return Err(Error::new(Class::Auth, says).code("invalid_grant"));
        }
        if state.blank > 0 {
            state.blank -= 1;
            let (access, refresh) = (Secret::new(" "), Some(Secret::new("")));
            let (expires_in, refresh_expires_in) = (Some(Duration::from_secs(3600)), None);
            return Ok(Tokens { access, refresh, expires_in, refresh_expires_in, scopes: None });
        }
        Ok(state.issue(cx.now))
    }

    async fn targets(&self, _: &Context<'_>) -> Result<Vec<Target>, Error> {
        Ok(self.state().targets.clone())
    }

    async fn revoke(&self, cx: &Context<'_>) -> Result<(), Error> {
        let token = cx.account.secret("accessToken")?.reveal().to_owned();
        self.state().given_back.push(token);
        Ok(())
    }

    fn parse_error(&self, _: &Reply) -> Error {
        Error::new(Class::Unknown, "The guild sends no replies.")
    }
}
