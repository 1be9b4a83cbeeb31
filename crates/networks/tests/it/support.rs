//! What a test of a connector stands on: a sandbox, one account in it, a keeper that remembers, and
//! one clock for both sides.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use carillon_networks::http::{Guard, Http};
use carillon_networks::text;
use carillon_networks::{
    Account, Checkpoints, Context, Error, Keeper, Media, Network, Remote, Rendition, Secret, Window,
};
use carillon_sandbox::{Calls, Fault, LedgerPost, Options, Sandbox, Trouble};
use serde_json::Value;

/// 2026-11-22T10:00:00Z
const NOON: i64 = 1_795_341_600_000;

pub(crate) struct Desk {
    network: &'static str,
    pub(crate) sandbox: Sandbox,
    pub(crate) kept: Kept,
    pub(crate) account: Account,
    http: Http,
    base: String,
    clock: Arc<AtomicI64>,
}

/// Durable as far as the test's process goes.
#[derive(Default)]
pub(crate) struct Kept(Mutex<Checkpoints>);

impl Kept {
    pub(crate) fn all(&self) -> Checkpoints {
        self.0.lock().unwrap().clone()
    }

    /// As after a crash before this handle was saved.
    pub(crate) fn lose(&self, name: &str) {
        self.0.lock().unwrap().remove(name);
    }
}

#[async_trait]
impl Keeper for Kept {
    async fn checkpoint(&self, name: &str, value: &Value) -> Result<(), Error> {
        let mut kept = self.0.lock().unwrap();
        if value.is_null() {
            kept.remove(name);
        } else {
            kept.insert(name.to_owned(), value.clone());
        }
        Ok(())
    }

    async fn renew(&self, _: &std::collections::BTreeMap<String, Secret>) -> Result<(), Error> {
        // The account lives as long as the desk, and the context writes them into it.
        Ok(())
    }
}

impl Desk {
    /// A fresh sandbox, and what `alice` enters to be connected.
    pub(crate) async fn of(network: &'static dyn Network) -> Self {
        let mut desk = Self::open(network, &[], &[]).await;
        desk.sign_in(network, "alice");
        desk
    }

    /// From now on as this account.
    pub(crate) fn sign_in(&mut self, network: &dyn Network, account: &str) {
        let fields = self.sandbox.fields(self.network, account);
        assert!(!fields.is_empty(), "the sandbox has no {}", self.network);
        let (settings, secrets) = split(network, fields);
        self.account = Account { settings, secrets: Mutex::new(secrets) };
        if let Some(server) = self.account.settings.get("server") {
            self.base.clone_from(server);
        }
    }

    /// The account, with one field left empty.
    pub(crate) fn without(&self, key: &str) -> Account {
        self.with(key, "")
    }

    /// The account, with another value in one field.
    pub(crate) fn with(&self, key: &str, value: &str) -> Account {
        let mut settings = self.account.settings.clone();
        let mut secrets = self.account.secrets.lock().unwrap().clone();
        if let Some(setting) = settings.get_mut(key) {
            value.clone_into(setting);
        }
        if let Some(secret) = secrets.get_mut(key) {
            *secret = Secret::new(value);
        }
        Account { settings, secrets: Mutex::new(secrets) }
    }

    /// The account, with its network at another address.
    pub(crate) fn elsewhere(&self, base: &str) -> Account {
        let mut account = self.with("", "");
        let own = self.sandbox.url();
        for value in account.settings.values_mut() {
            *value = value.replace(&format!("{own}/{}", self.network), base).replace(&own, base);
        }
        account.secrets = Mutex::new(
            account
                .secrets
                .into_inner()
                .unwrap()
                .into_iter()
                .map(|(k, v)| (k, Secret::new(v.reveal().replace(&own, base))))
                .collect(),
        );
        account
    }

    /// What a context of another account is made of.
    pub(crate) fn parts(&self) -> (&Http, &str, &Kept) {
        (&self.http, &self.base, &self.kept)
    }

    /// A fresh sandbox, and an account with these settings and secrets.
    pub(crate) async fn open(
        network: &'static dyn Network,
        settings: &[(&str, &str)],
        secrets: &[(&str, &str)],
    ) -> Self {
        let clock = Arc::new(AtomicI64::new(NOON));
        let now = Arc::clone(&clock);
        let options =
            Options { now: Arc::new(move || now.load(Ordering::Relaxed)), ..Options::default() };
        let sandbox = Sandbox::start("127.0.0.1:0".parse().unwrap(), options).await.unwrap();
        let url = sandbox.url();
        let host = url.trim_start_matches("http://").to_owned();
        let network = network.spec().id;
        Self {
            network,
            http: Http::new(Guard::allowing([host].into_iter().chain(sandbox.mail()))),
            account: account(settings, secrets),
            base: format!("{url}/{network}"),
            kept: Kept::default(),
            sandbox,
            clock,
        }
    }

    /// What a worker has after a restart: only what was kept.
    pub(crate) fn cx(&self) -> Context<'_> {
        self.cx_within(Duration::from_secs(5))
    }

    pub(crate) fn cx_within(&self, timeout: Duration) -> Context<'_> {
        Context::new(
            &self.http,
            &self.account,
            &self.base,
            self.now(),
            timeout,
            self.kept.all(),
            &self.kept,
        )
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.load(Ordering::Relaxed)
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.clock.fetch_add(i64::try_from(time.as_millis()).unwrap(), Ordering::Relaxed);
    }

    /// Everything that a send of about now can have left.
    pub(crate) fn window(&self) -> Window {
        Window { since: self.now() - 60_000, until: self.now() + 60_000 }
    }

    pub(crate) fn fault(&self, call: Calls, trouble: Trouble) {
        self.sandbox.add_fault(Fault::new(self.network, call, trouble));
    }

    /// What followers see now.
    pub(crate) fn visible(&self) -> Vec<LedgerPost> {
        let posts = self.sandbox.ledger(self.network);
        posts.into_iter().filter(|post| post.deleted_at.is_none()).collect()
    }

    /// Does the page of a post open?
    pub(crate) async fn opens(&self, remote: &Remote) -> bool {
        let Some(url) = remote.url.as_deref() else { return false };
        let request = self.http.get(url);
        self.http.send(request, Duration::from_secs(5)).await.is_ok_and(|reply| reply.ok())
    }

    /// How many requests of this method went to a path with this end.
    pub(crate) fn requests(&self, method: &str, end: &str) -> usize {
        let requests = self.sandbox.requests(self.network);
        requests.iter().filter(|r| r.method == method && r.path.ends_with(end)).count()
    }
}

/// Fields as SPEC tells them apart: open, and sealed.
fn split(
    network: &dyn Network,
    fields: Vec<(&'static str, String)>,
) -> (BTreeMap<String, String>, BTreeMap<String, Secret>) {
    let (mut settings, mut secrets) = (BTreeMap::new(), BTreeMap::new());
    for (key, value) in fields {
        let field = network.spec().fields.iter().find(|f| f.key == key);
        let field = field.unwrap_or_else(|| panic!("{} has no field {key}", network.spec().id));
        match field.secret {
            true => drop(secrets.insert(key.to_owned(), Secret::new(value))),
            false => drop(settings.insert(key.to_owned(), value)),
        }
    }
    (settings, secrets)
}

pub(crate) fn account(settings: &[(&str, &str)], secrets: &[(&str, &str)]) -> Account {
    let own = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
    let sealed = |(k, v): &(&str, &str)| ((*k).to_owned(), Secret::new(*v));
    Account {
        settings: settings.iter().map(own).collect(),
        secrets: Mutex::new(secrets.iter().map(sealed).collect()),
    }
}

pub(crate) fn post(placement: &str, text: &str, media: Vec<Media>) -> Rendition {
    Rendition {
        placement: placement.to_owned(),
        text: text.to_owned(),
        title: None,
        media,
        key: "5b2c1f0a-delivery".to_owned(),
        created_at: NOON,
        reply_to: None,
        extra: BTreeMap::new(),
    }
}

/// This text, filled up until it counts `max` as the placement counts, and the same with one more.
pub(crate) fn to_the_brim(network: &dyn Network, begin: &str, max: usize) -> [String; 2] {
    let rule = network.spec().placements[0].text.count;
    let missing = max - text::count(rule, begin);
    [missing, missing + 1].map(|n| format!("{begin}{}", "x".repeat(n)))
}

/// The one remote post that a look-up found.
pub(crate) fn only(found: &[Remote]) -> &Remote {
    assert_eq!(found.len(), 1, "{found:?}");
    &found[0]
}

/// The head of a JPEG, which is all that is measured of it; `mark` makes it another picture.
pub(crate) fn jpeg(width: u16, height: u16, mark: u8) -> Media {
    let mut data = vec![0xFF, 0xD8, 0xFF, 0xC0, 0, 11, 8];
    data.extend(height.to_be_bytes());
    data.extend(width.to_be_bytes());
    data.extend([3, 1, 0x22, 0, 0xFF, 0xFE, 0, 3, mark, 0xFF, 0xD9]);
    Media {
        id: format!("m{mark}"),
        content_type: "image/jpeg".to_owned(),
        width: width.into(),
        height: height.into(),
        alt: format!("Picture “{mark}”"),
        file_name: format!("picture {mark}.jpg"),
        data: data.into(),
        source: None,
        duration: None,
        cover: None,
        url: String::new(),
    }
}

/// A public address for a picture: a server that gives it to whoever asks, until the process ends.
pub(crate) fn hosted(media: Media) -> Media {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/{}.jpg", listener.local_addr().unwrap(), media.id);
    let (data, content_type) = (media.data.clone(), media.content_type.clone());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            lines.take_while(|line| line.as_ref().is_ok_and(|l| !l.is_empty())).for_each(drop);
            let length = data.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\
                 connection: close\r\n\r\n"
            );
            stream.write_all(&[head.as_bytes(), &data].concat()).unwrap();
        }
    });
    Media { url, ..media }
}

/// The head of an MP4 of this size and length, which is all that is measured of it, and `filling`
/// bytes of film behind it.
pub(crate) fn mp4(width: u16, height: u16, seconds: u32, filling: usize) -> Media {
    let atom = |name: &[u8; 4], body: &[u8]| {
        let length = u32::try_from(body.len() + 8).unwrap();
        [&length.to_be_bytes()[..], name, body].concat()
    };
    let mut mvhd = vec![0; 100];
    mvhd[12..16].copy_from_slice(&1_000_u32.to_be_bytes());
    mvhd[16..20].copy_from_slice(&(seconds * 1_000).to_be_bytes());
    let mut tkhd = vec![0; 84];
    tkhd[76..78].copy_from_slice(&width.to_be_bytes());
    tkhd[80..82].copy_from_slice(&height.to_be_bytes());
    let track = atom(b"trak", &atom(b"tkhd", &tkhd));
    let data = [
        atom(b"ftyp", b"isom\0\0\x02\0isomavc1"),
        atom(b"moov", &[atom(b"mvhd", &mvhd), track].concat()),
        atom(b"mdat", &vec![7; filling]),
    ]
    .concat();
    Media {
        id: "film".to_owned(),
        content_type: "video/mp4".to_owned(),
        width: width.into(),
        height: height.into(),
        alt: "A film".to_owned(),
        file_name: "film.mp4".to_owned(),
        data: data.into(),
        source: None,
        duration: Some(Duration::from_secs(seconds.into())),
        cover: None,
        url: String::new(),
    }
}
