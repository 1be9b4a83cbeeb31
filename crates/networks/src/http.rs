//! The one way out: timeouts, size caps, no redirects, no retries, no cookies, an address guard.
//!
//! Connectors hold protocol only. What this wrapper adds to every answer is *certainty*: whether a
//! request that failed can have reached the network. A failure to resolve, connect or shake hands
//! is certain ("nothing was sent"); anything later is not.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

use crate::error::{Action, Class, Error};

/// Largest answer that is read, in bytes. The networks' own answers are a few KB; listings of 25
/// posts stay under 1 MB.
const MAX_BODY: usize = 4 << 20;

/// Longest wait that a network's answer can ask for, in seconds.
const MAX_WAIT: f64 = 86_400.0;

/// The client that every connector uses. Cheap to clone.
#[derive(Clone)]
pub struct Http {
    client: reqwest::Client,
    guard: Guard,
    times: Arc<Mutex<Times>>,
}

/// When the networks say that it is.
#[derive(Default)]
struct Times {
    /// How many answers said it.
    said: u64,
    /// The last answer of each origin: which one it was, and the time by the network's clock.
    of: HashMap<String, (u64, i64)>,
}

/// A moment between two answers, for [`Http::time_at`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(u64);

/// Which addresses may be spoken to.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    /// Hosts (`127.0.0.1:4000`, `wordpress.lan`) that may be private: the sandbox, sites in the
    /// operator's own network. Everything else must resolve to public addresses only.
    allowed: Arc<[String]>,
}

impl Guard {
    pub fn allowing(hosts: impl IntoIterator<Item = String>) -> Self {
        Self { allowed: hosts.into_iter().map(|h| h.to_ascii_lowercase()).collect() }
    }

    /// Checks scheme, host and literal addresses; names are checked again when they resolve.
    pub fn check(&self, url: &url::Url) -> Result<(), Error> {
        let refuse = |why: &str| {
            Err(Error::new(
                Class::Config,
                format!("The address `{}` is refused: {why}.", origin(url)),
            )
            .code("address_refused")
            .action(Action::AskOperator))
        };
        if !matches!(url.scheme(), "https" | "http") {
            return refuse("only http and https are spoken");
        }
        if self.allows(url) {
            return Ok(());
        }
        match url.host() {
            None => refuse("it names no host"),
            Some(url::Host::Ipv4(ip)) if !is_public(ip.into()) => refuse("it is not public"),
            Some(url::Host::Ipv6(ip)) if !is_public(ip.into()) => refuse("it is not public"),
            Some(url::Host::Domain(d)) if d == "localhost" || d.ends_with(".localhost") => {
                refuse("it is not public")
            }
            _ => Ok(()),
        }
    }

    fn allows(&self, url: &url::Url) -> bool {
        let Some(host) = url.host_str() else { return false };
        let with_port = format!("{host}:{}", url.port_or_known_default().unwrap_or(0));
        self.allowed.iter().any(|a| a == host || *a == with_port)
    }
}

/// Scheme, host and port: what may be said in an error (paths and queries can hold tokens).
fn origin(url: &url::Url) -> String {
    url.origin().ascii_serialization()
}

/// Is this an address of the public internet? IANA's special-purpose registries, shortened to what
/// can route to something of ours.
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_documentation()
                || v4.is_multicast()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (b == 18 || b == 19)))
        }
        IpAddr::V6(v6) => {
            if let Some(v4) = v6.to_ipv4_mapped().or_else(|| nat64(v6)) {
                return is_public(v4.into());
            }
            let s = v6.segments();
            !(v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || (s[0] & 0xfe00) == 0xfc00
                || (s[0] & 0xffc0) == 0xfe80
                || (s[0] == 0x2001 && s[1] == 0xdb8)
                || s[0] == 0x2002)
        }
    }
}

/// The IPv4 address inside 64:ff9b::/96, which a NAT64 gateway would reach.
fn nat64(v6: std::net::Ipv6Addr) -> Option<std::net::Ipv4Addr> {
    let s = v6.segments();
    (s[0] == 0x64 && s[1] == 0xff9b && s[2..6] == [0; 4])
        .then(|| std::net::Ipv4Addr::from((u32::from(s[6]) << 16) | u32::from(s[7])))
}

/// Resolves names and drops private answers, so that what was checked is what is connected to.
struct PublicOnly {
    guard: Guard,
}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = self.guard.allowed.clone();
        Box::pin(async move {
            let kept = addresses(&allowed, name.as_str(), 0).await?;
            if kept.is_empty() {
                return Err("the name has no public address".into());
            }
            Ok(Box::new(kept.into_iter()) as Addrs)
        })
    }
}

/// The addresses behind a name that may be spoken to.
async fn addresses(allowed: &[String], host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
    let host = host.to_ascii_lowercase();
    let private_ok = allowed.iter().any(|a| a.split(':').next() == Some(host.as_str()));
    let found = tokio::net::lookup_host((host.as_str(), port)).await?;
    Ok(found.filter(|a| private_ok || is_public(a.ip())).collect())
}

/// An answer, whatever its status, with its body read whole.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: http::HeaderMap,
    pub body: Bytes,
}

impl Reply {
    pub fn ok(&self) -> bool {
        self.status.is_success()
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }

    /// The body as JSON; a good status with anything else is [`Error::garbled`].
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body)
            .map_err(|_| Error::garbled("something unreadable").status(self.status.as_u16()))
    }

    /// The body as loose JSON, `Null` when it is none: for reading errors.
    pub fn value(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// `Retry-After` in seconds or as an HTTP date; at most a day, because a server's mistake must
    /// not park a post for a year.
    pub fn retry_after(&self) -> Option<Duration> {
        let value = self.header("retry-after")?.trim();
        match value.parse::<f64>() {
            Ok(secs) if secs >= 0.0 => Some(Duration::from_secs_f64(secs.min(MAX_WAIT))),
            Ok(_) => None,
            Err(_) => self.until(jiff::fmt::rfc2822::parse(value).ok()?.timestamp()),
        }
    }

    /// How long from this answer to a time that it names, by the answer's own `Date`, so that the
    /// two clocks need not agree; at most a day.
    pub fn until(&self, at: jiff::Timestamp) -> Option<Duration> {
        let date = jiff::fmt::rfc2822::parse(self.header("date")?).ok()?.timestamp();
        let ms = at.as_millisecond().saturating_sub(date.as_millisecond()).max(0);
        Some(Duration::from_secs_f64((ms as f64 / 1000.0).min(MAX_WAIT)))
    }

    /// The network's own name for this exchange.
    pub fn request_id(&self) -> Option<String> {
        ["x-request-id", "cf-ray"].iter().find_map(|h| self.header(h)).map(str::to_owned)
    }

    /// What the status alone tells, with status, request id and retry time filled in; each
    /// network's `parse_error` refines it by the network's own codes.
    pub fn error(&self, network: &str) -> Error {
        let status = self.status.as_u16();
        let (class, what) = match status {
            200..=299 => (Class::Unknown, "answered with something unreadable"),
            300..=399 => (Class::Config, "answers from another address: correct the server's name"),
            401 => (Class::Auth, "refuses the credentials"),
            403 => (Class::Auth, "does not allow this with these credentials"),
            404 | 410 => (Class::Content, "does not know what the post refers to"),
            413 => (Class::Content, "finds what was sent too large"),
            429 => (Class::RateLimit, "asks for fewer calls"),
            408 | 500.. => (Class::Transient, "is out of order for the moment"),
            _ => (Class::Content, "refuses the post"),
        };
        let error = Error::new(class, format!("{network} {what}."))
            .status(status)
            .request_id(self.request_id())
            .retry_after(self.retry_after());
        // A gateway's time-out says nothing about the server behind it.
        if class == Class::Transient { error.maybe_applied() } else { error }
    }
}

/// An answer as a network would give it, for the tests of `parse_error`.
#[cfg(test)]
pub(crate) fn reply(status: u16, headers: &[(&'static str, &str)], body: &str) -> Reply {
    let pairs = headers.iter().map(|(k, v)| ((*k).parse().expect(k), v.parse().expect(v)));
    Reply {
        status: StatusCode::from_u16(status).expect("a status"),
        headers: pairs.collect(),
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

/// An answer whose body is read as it comes.
pub struct Opened {
    pub status: StatusCode,
    pub headers: http::HeaderMap,
    pub body: BoxStream<'static, Result<Bytes, Error>>,
}

/// A request being built; see [`Http::request`].
pub type Request = reqwest::RequestBuilder;

impl Http {
    /// A client behind this guard.
    ///
    /// # Panics
    /// When the TLS provider cannot be set up, which no input can cause.
    pub fn new(guard: Guard) -> Self {
        // A second client in one process finds the provider installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .user_agent(concat!("Carillon/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(Duration::from_secs(10))
            // Short: an idle connection that the other side has closed is the commonest cause of
            // an unknown outcome.
            .pool_idle_timeout(Duration::from_secs(4))
            .dns_resolver(Arc::new(PublicOnly { guard: guard.clone() }))
            .no_proxy()
            .build()
            .expect("a client with static settings builds");
        Self { client, guard, times: Arc::default() }
    }

    /// May this address be spoken to? Asked again before every request.
    pub fn check(&self, url: &url::Url) -> Result<(), Error> {
        self.guard.check(url)
    }

    /// Did whoever runs this installation allow this host by its name?
    pub fn allows(&self, url: &url::Url) -> bool {
        self.guard.allows(url)
    }

    /// May this host be private on this port? The sandbox is, and what the operator has allowed.
    pub fn allows_private(&self, host: &str, port: u16) -> bool {
        stand_in(host, port).is_ok_and(|url| self.guard.allows(&url))
    }

    /// A connection behind the same guard, for networks that do not speak HTTP. What is connected
    /// to is what was checked. Every error is certain: nothing was sent. Takes as long as it takes.
    pub async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, Error> {
        let url = stand_in(host, port)?;
        self.guard.check(&url)?;
        let failed = |_| {
            Error::new(Class::Transient, format!("No connection to {host}:{port}."))
                .code("connect_failed")
        };
        let to = match url.host() {
            Some(url::Host::Ipv4(ip)) => vec![SocketAddr::new(ip.into(), port)],
            Some(url::Host::Ipv6(ip)) => vec![SocketAddr::new(ip.into(), port)],
            Some(url::Host::Domain(name)) => {
                addresses(&self.guard.allowed, name, port).await.map_err(failed)?
            }
            None => Vec::new(),
        };
        // Nothing to connect to is an error of its own.
        let stream = TcpStream::connect(to.as_slice()).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        Ok(stream)
    }

    /// A request to `url`. Send it with [`Http::send`], which checks the address.
    pub fn request(&self, method: Method, url: &str) -> Request {
        self.client.request(method, url)
    }
    pub fn get(&self, url: &str) -> Request {
        self.request(Method::GET, url)
    }
    pub fn post(&self, url: &str) -> Request {
        self.request(Method::POST, url)
    }
    pub fn put(&self, url: &str) -> Request {
        self.request(Method::PUT, url)
    }
    pub fn patch(&self, url: &str) -> Request {
        self.request(Method::PATCH, url)
    }
    pub fn delete(&self, url: &str) -> Request {
        self.request(Method::DELETE, url)
    }

    /// Sends and reads the answer whole. Any status is `Ok`; redirects are not followed.
    ///
    /// # Errors
    /// Class `Transient`, [`Applied::No`](crate::Applied::No) when nothing can have arrived; class
    /// `Unknown` when the request may have been read.
    pub async fn send(&self, request: Request, timeout: Duration) -> Result<Reply, Error> {
        let (client, request) = request.timeout(timeout).build_split();
        let request = request.map_err(|e| {
            Error::new(Class::Config, format!("The request cannot be built: {}.", e.without_url()))
                .code("bad_request")
                .action(Action::AskOperator)
        })?;
        self.guard.check(request.url())?;
        let host = origin(request.url());
        let response = client.execute(request).await.map_err(|e| transport(&host, &e))?;
        let (status, headers) = (response.status(), response.headers().clone());
        self.note_time(&host, &headers);
        let mut body = BytesMut::new();
        let mut stream = response.bytes_stream();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|e| transport(&host, &e))?;
            if body.len() + chunk.len() > MAX_BODY {
                return Err(Error::garbled("more than 4 MB").status(status.as_u16()));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status, headers, body: body.freeze() })
    }

    /// Sends and hands the answer on as it comes, however large: for files. Each of up to three
    /// redirects is an address that is checked like the first.
    ///
    /// # Errors
    /// As [`Http::send`] has them; a status other than 2xx is for the caller to judge.
    pub async fn open(
        &self,
        url: &url::Url,
        headers: &[(&'static str, &str)],
        timeout: Duration,
    ) -> Result<Opened, Error> {
        let mut url = url.clone();
        for _ in 0..4 {
            self.guard.check(&url)?;
            let host = origin(&url);
            let asked = self.client.get(url.clone()).timeout(timeout);
            let asked =
                headers.iter().fold(asked, |asked, (name, value)| asked.header(*name, *value));
            let response = asked.send().await.map_err(|e| transport(&host, &e))?;
            let (status, headers) = (response.status(), response.headers().clone());
            let to = headers.get("location").and_then(|v| v.to_str().ok());
            match to.filter(|_| status.is_redirection()).and_then(|to| url.join(to).ok()) {
                Some(next) => url = next,
                None => {
                    let body = response.bytes_stream();
                    let body = body.map(move |chunk| chunk.map_err(|e| transport(&host, &e)));
                    return Ok(Opened { status, headers, body: body.boxed() });
                }
            }
        }
        let sentence = format!("{} leads from one address to the next without end.", origin(&url));
        Err(Error::new(Class::Config, sentence).code("redirects"))
    }

    /// This moment: what is answered from now on came after it.
    pub fn mark(&self) -> Mark {
        Mark(self.times.lock().unwrap_or_else(|e| e.into_inner()).said)
    }

    /// What the last answer from `base` said the time was, in ms since 1970 UTC, in whole seconds;
    /// `None` when none came since then. The times of posts are by that clock, and ours may be
    /// another.
    pub fn time_at(&self, base: &str, since: Mark) -> Option<i64> {
        let host = origin(&base.parse().ok()?);
        let times = self.times.lock().unwrap_or_else(|e| e.into_inner());
        times.of.get(&host).filter(|(nth, _)| *nth > since.0).map(|(_, time)| *time)
    }

    fn note_time(&self, host: &str, headers: &http::HeaderMap) {
        let date = headers.get("date").and_then(|v| v.to_str().ok());
        if let Some(date) = date.and_then(|d| jiff::fmt::rfc2822::parse(d).ok()) {
            let mut times = self.times.lock().unwrap_or_else(|e| e.into_inner());
            times.said += 1;
            let nth = times.said;
            times.of.insert(host.to_owned(), (nth, date.timestamp().as_millisecond()));
        }
    }
}

/// An address that the guard can read, of a host and a port.
fn stand_in(host: &str, port: u16) -> Result<url::Url, Error> {
    let host = if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    let url = format!("https://{host}:{port}/").parse::<url::Url>().ok();
    // Nothing but a host: no user before it, no path or query that swallowed the port.
    let bare = |url: &url::Url| {
        url.username().is_empty()
            && url.port_or_known_default() == Some(port)
            && (url.path(), url.query(), url.fragment()) == ("/", None, None)
    };
    url.filter(bare).ok_or_else(|| {
        Error::new(Class::Config, "The name of the server cannot be read.").code("bad_host")
    })
}

fn transport(host: &str, e: &reqwest::Error) -> Error {
    if e.is_connect() {
        return Error::new(Class::Transient, format!("No connection to {host}."))
            .code("connect_failed");
    }
    let (what, code) = if e.is_timeout() {
        ("did not answer in time", "timeout")
    } else {
        ("broke the connection off before its answer was complete", "connection_lost")
    };
    Error::new(Class::Unknown, format!("{host} {what}.")).code(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Applied;

    /// The clock of an answer that came long before says nothing of now.
    #[test]
    fn a_network_s_time_is_told_by_what_came_since() {
        let http = Http::new(Guard::default());
        let (base, early) = ("https://a.example/api", http.mark());
        assert_eq!(http.time_at(base, early), None, "nothing was said");
        let says = |date: &str| {
            let headers = [(http::header::DATE, date.parse().unwrap())];
            http.note_time("https://a.example", &headers.into_iter().collect());
        };
        says("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(http.time_at(base, early), Some(784_111_777_000));
        assert_eq!(http.time_at("https://b.example/", early), None, "another said it");
        let late = http.mark();
        assert_eq!(http.time_at(base, late), None, "it was said before");
        says("yesterday");
        assert_eq!(http.time_at(base, late), None, "it is no time");
        says("Sun, 06 Nov 1994 08:49:38 GMT");
        assert_eq!(http.time_at(base, late), Some(784_111_778_000));
    }

    #[test]
    fn private_addresses_are_refused_in_every_spelling() {
        let guard = Guard::default();
        for bad in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://0x7f000001/",
            "http://2130706433/",
            "http://[::1]/",
            "http://[::ffff:10.0.0.1]/",
            "http://[64:ff9b::7f00:1]/",
            "http://169.254.169.254/latest/meta-data",
            "http://100.64.0.1/",
            "http://localhost:3000/",
            "http://a.localhost/",
            "http://0.0.0.0/",
            "file:///etc/passwd",
            "gopher://example.com/",
        ] {
            assert!(guard.check(&bad.parse().expect(bad)).is_err(), "{bad} got through");
        }
        assert!(guard.check(&"https://graph.facebook.com/".parse().unwrap()).is_ok());
    }

    #[test]
    fn an_allowed_host_is_allowed_on_its_port_only() {
        let guard = Guard::allowing(["127.0.0.1:4000".to_owned()]);
        assert!(guard.check(&"http://127.0.0.1:4000/x".parse().unwrap()).is_ok());
        assert!(guard.check(&"http://127.0.0.1:4001/x".parse().unwrap()).is_err());
    }

    #[test]
    fn waits_are_counted_from_the_answers_own_date() {
        let wait = |value| {
            let date = ("date", "Sun, 22 Nov 2026 10:00:00 GMT");
            reply(429, &[("retry-after", value), date], "").retry_after()
        };
        assert_eq!(wait("35"), Some(Duration::from_secs(35)));
        assert_eq!(wait("0.5"), Some(Duration::from_millis(500)));
        assert_eq!(wait("Sun, 22 Nov 2026 10:02:00 GMT"), Some(Duration::from_secs(120)));
        assert_eq!(wait("Sun, 22 Nov 2026 09:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(wait("99999999999"), Some(Duration::from_secs(86_400)));
        for none in ["-1", "soon", "NaN", ""] {
            assert_eq!(wait(none), None, "{none}");
        }
    }

    #[test]
    fn a_status_alone_tells_class_and_certainty() {
        for (status, class, applied) in [
            (200, Class::Unknown, Applied::Maybe),
            (301, Class::Config, Applied::No),
            (400, Class::Content, Applied::No),
            (401, Class::Auth, Applied::No),
            (403, Class::Auth, Applied::No),
            (404, Class::Content, Applied::No),
            (408, Class::Transient, Applied::Maybe),
            (413, Class::Content, Applied::No),
            (422, Class::Content, Applied::No),
            (429, Class::RateLimit, Applied::No),
            (500, Class::Transient, Applied::Maybe),
            (504, Class::Transient, Applied::Maybe),
        ] {
            let error = reply(status, &[("x-request-id", "r1")], "<html>").error("Exemplum");
            assert_eq!((error.class, error.applied), (class, applied), "{status}");
            assert_eq!(error.status, Some(status));
            assert_eq!(error.request_id.as_deref(), Some("r1"));
        }
    }

    #[tokio::test]
    async fn connections_are_behind_the_same_guard() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shut = Http::new(Guard::default());
        for host in ["127.0.0.1", "127.1", "::1", "[::1]", "localhost", "10.0.0.1", "a.localhost"] {
            let error = shut.connect(host, port).await.expect_err(host);
            assert_eq!(error.code.as_deref(), Some("address_refused"), "{host}");
            assert_eq!(error.applied, Applied::No);
        }
        for host in ["", "a b", "a/b", "user@host", "[", "host?x"] {
            let error = shut.connect(host, port).await.expect_err(host);
            assert_eq!(error.class, Class::Config, "{host}: {error:?}");
        }
        let open = Http::new(Guard::allowing([format!("127.0.0.1:{port}")]));
        open.connect("127.0.0.1", port).await.unwrap();
        assert!(open.allows_private("127.0.0.1", port));
        assert!(!open.allows_private("127.0.0.1", port ^ 1));
        assert!(!shut.allows_private("127.0.0.1", port));
        drop(listener);
        let error = open.connect("127.0.0.1", port).await.expect_err("nobody listens");
        assert_eq!((error.class, error.applied), (Class::Transient, Applied::No));
    }

    #[tokio::test]
    async fn refused_connection_is_certain() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        drop(listener);
        let http = Http::new(Guard::allowing([host.clone()]));
        let request = http.get(&format!("http://{host}/"));
        let error = http.send(request, Duration::from_secs(5)).await.expect_err("nobody listens");
        assert_eq!(error.applied, Applied::No);
        assert_eq!(error.class, Class::Transient);
    }
}
