//! Scripted faults: what goes wrong, where, and how many times.
//!
//! A fault waits until a request matches it and is spent by that request. The first one that was
//! added goes first. `processing` is spent by polls of a container or of media that would otherwise
//! be told it is ready; every other fault by the request itself.

use std::sync::Mutex;

use serde::Serialize;
use serde_json::{Value, json};

use crate::world::{Network, is_account, lock};

/// How long a `slow` answer takes, and how far away the end of a `rate_limit` is, unless said.
const DEFAULT_MS: u64 = 30_000;

/// Which requests a fault may hit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Calls {
    /// Uploads, containers, drafts, logins: any writing request that shows nothing to followers.
    Prepare,
    /// The request that makes a post visible.
    Publish,
    /// The request that changes what is visible.
    Edit,
    /// Any GET.
    Read,
    Delete,
    Any,
}

/// What goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// The network's own refusal with its own word on when to come back.
    RateLimit,
    /// The network's own 5xx; nothing is applied.
    ServerError,
    /// The network's own answer to a token that is expired or revoked.
    Auth,
    /// Works, after `ms`.
    Slow,
    /// Containers and media stay in progress for this many more polls.
    Processing,
    /// The connection breaks after the request was read; nothing is applied.
    ResetBeforeAccept,
    /// Everything is applied; the connection breaks before a byte of the answer.
    ResetAfterAccept,
    /// Everything is applied; the answer is a 200 that cannot be read.
    Garbage,
}

/// A fault to come.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Fault {
    /// A network's id, or `*`.
    pub network: String,
    pub call: Calls,
    pub fault: Trouble,
    /// How many requests it still hits.
    pub times: u32,
    /// `slow`: the delay. `rate_limit`: the time until the end of the limit.
    pub ms: u64,
    /// Only requests of this account.
    pub account: Option<String>,
}

impl Fault {
    /// Hits one request.
    pub fn new(network: &str, call: Calls, fault: Trouble) -> Self {
        Self { network: network.to_owned(), call, fault, times: 1, ms: DEFAULT_MS, account: None }
    }

    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }

    pub fn ms(self, ms: u64) -> Self {
        Self { ms, ..self }
    }

    pub fn account(self, account: &str) -> Self {
        Self { account: Some(account.to_owned()), ..self }
    }

    /// Reads what was posted to `/_faults`; the error says what is allowed.
    pub(crate) fn read(body: &[u8]) -> Result<Self, String> {
        let body: Value = serde_json::from_slice(body)
            .map_err(|e| format!("The body is not JSON: {e}. {}", Self::allowed()))?;
        let Value::Object(fields) = body else {
            return Err(format!("The body must be one JSON object. {}", Self::allowed()));
        };
        let known = ["network", "call", "fault", "times", "ms", "account"];
        if let Some(name) = fields.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(format!("`{name}` is not a field of a fault. {}", Self::allowed()));
        }
        let text = |name: &str| match fields.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(format!("`{name}` must be a string. {}", Self::allowed())),
        };
        let number = |name: &str, default: u64| match fields.get(name) {
            None | Some(Value::Null) => Ok(default),
            Some(value) => value
                .as_u64()
                .ok_or_else(|| format!("`{name}` must be a whole number. {}", Self::allowed())),
        };
        let network = text("network")?.unwrap_or_default();
        if network != "*" && Network::find(network).is_none() {
            return Err(format!("`{network}` is not a network. {}", Self::allowed()));
        }
        let call = text("call")?.unwrap_or_default();
        let call = Calls::find(call)
            .ok_or_else(|| format!("`{call}` is not a call. {}", Self::allowed()))?;
        let fault = text("fault")?.unwrap_or_default();
        let fault = Trouble::find(fault)
            .ok_or_else(|| format!("`{fault}` is not a fault. {}", Self::allowed()))?;
        if fault == Trouble::Processing {
            if Network::find(network).is_some_and(|n| !n.processes()) {
                let those = Network::ALL.iter().filter(|n| n.processes()).map(|n| n.id());
                let those = those.collect::<Vec<_>>().join(", ");
                return Err(format!("{network} processes nothing: `processing` is for {those}."));
            }
            if matches!(call, Calls::Publish | Calls::Edit | Calls::Delete) {
                return Err(
                    "`processing` is seen by polls: its call is read, prepare or any.".into()
                );
            }
        }
        let times = u32::try_from(number("times", 1)?).ok().filter(|times| *times > 0);
        let times =
            times.ok_or_else(|| format!("`times` must be 1 or more. {}", Self::allowed()))?;
        let account = text("account")?;
        if let Some(account) = account.filter(|name| !is_account(name)) {
            return Err(format!("`{account}` is not an account: [a-z0-9_-]+ is."));
        }
        Ok(Self {
            network: network.to_owned(),
            call,
            fault,
            times,
            ms: number("ms", DEFAULT_MS)?,
            account: account.map(str::to_owned),
        })
    }

    fn allowed() -> String {
        let networks = Network::ALL.iter().map(|n| n.id()).collect::<Vec<_>>().join(", ");
        let calls = Calls::ALL.map(Calls::id).join(", ");
        let faults = Trouble::ALL.map(Trouble::id).join(", ");
        format!(
            "Allowed: network: {networks} or *; call: {calls}; fault: {faults}; \
             times: 1 or more (default 1); ms: milliseconds of slow and rate_limit \
             (default {DEFAULT_MS}); account: a name, or left out for all."
        )
    }

    fn hits(&self, network: Network, account: Option<&str>) -> bool {
        self.times > 0
            && (self.network == "*" || self.network == network.id())
            && self.account.as_deref().is_none_or(|name| Some(name) == account)
    }
}

impl Calls {
    const ALL: [Self; 6] =
        [Self::Prepare, Self::Publish, Self::Edit, Self::Read, Self::Delete, Self::Any];

    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Publish => "publish",
            Self::Edit => "edit",
            Self::Read => "read",
            Self::Delete => "delete",
            Self::Any => "any",
        }
    }

    fn find(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|call| call.id() == id)
    }
}

impl Trouble {
    const ALL: [Self; 8] = [
        Self::RateLimit,
        Self::ServerError,
        Self::Auth,
        Self::Slow,
        Self::Processing,
        Self::ResetBeforeAccept,
        Self::ResetAfterAccept,
        Self::Garbage,
    ];

    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::RateLimit => "rate_limit",
            Self::ServerError => "server_error",
            Self::Auth => "auth",
            Self::Slow => "slow",
            Self::Processing => "processing",
            Self::ResetBeforeAccept => "reset_before_accept",
            Self::ResetAfterAccept => "reset_after_accept",
            Self::Garbage => "garbage",
        }
    }

    fn find(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|trouble| trouble.id() == id)
    }
}

#[derive(Default)]
pub(crate) struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    pub(crate) fn add(&self, fault: Fault) {
        if fault.times > 0 {
            lock(&self.0).push(fault);
        }
    }

    pub(crate) fn clear(&self) {
        lock(&self.0).clear();
    }

    pub(crate) fn left(&self) -> Value {
        json!({ "faults": *lock(&self.0) })
    }

    /// Spends the first fault that this request meets; says what happens and its milliseconds.
    pub(crate) fn meet(
        &self,
        network: Network,
        call: Calls,
        account: Option<&str>,
    ) -> Option<(Trouble, u64)> {
        self.spend(|fault| {
            fault.fault != Trouble::Processing
                && (fault.call == Calls::Any || fault.call == call)
                && fault.hits(network, account)
        })
    }

    /// Spends one poll of a `processing` fault: the thing asked for stays in progress.
    pub(crate) fn still_processing(&self, network: Network, account: &str) -> bool {
        self.spend(|fault| fault.fault == Trouble::Processing && fault.hits(network, Some(account)))
            .is_some()
    }

    fn spend(&self, matches: impl Fn(&Fault) -> bool) -> Option<(Trouble, u64)> {
        let mut faults = lock(&self.0);
        let at = faults.iter().position(matches)?;
        let fault = &mut faults[at];
        fault.times -= 1;
        let met = (fault.fault, fault.ms);
        if fault.times == 0 {
            faults.remove(at);
        }
        Some(met)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_spent_by_what_it_matches_and_by_nothing_else() {
        let faults = Faults::default();
        faults
            .add(Fault::new("bluesky", Calls::Publish, Trouble::Garbage).times(2).account("alice"));
        assert_eq!(faults.meet(Network::Bluesky, Calls::Read, Some("alice")), None);
        assert_eq!(faults.meet(Network::Bluesky, Calls::Publish, Some("bob")), None);
        assert_eq!(faults.meet(Network::Bluesky, Calls::Publish, None), None);
        assert_eq!(faults.meet(Network::Mastodon, Calls::Publish, Some("alice")), None);
        for _ in 0..2 {
            let met = faults.meet(Network::Bluesky, Calls::Publish, Some("alice"));
            assert_eq!(met, Some((Trouble::Garbage, DEFAULT_MS)));
        }
        assert_eq!(faults.meet(Network::Bluesky, Calls::Publish, Some("alice")), None);
        assert_eq!(faults.left(), json!({ "faults": [] }));
    }

    #[test]
    fn processing_is_spent_by_polls_only() {
        let faults = Faults::default();
        faults.add(Fault::new("*", Calls::Any, Trouble::Processing));
        assert_eq!(faults.meet(Network::Mastodon, Calls::Read, Some("alice")), None);
        assert!(faults.still_processing(Network::Mastodon, "alice"));
        assert!(!faults.still_processing(Network::Mastodon, "alice"));
    }

    #[test]
    fn what_is_posted_is_checked() {
        let read = |body: &str| Fault::read(body.as_bytes());
        assert_eq!(
            read(r#"{"network":"telegram","call":"publish","fault":"slow","ms":5,"times":3}"#),
            Ok(Fault::new("telegram", Calls::Publish, Trouble::Slow).ms(5).times(3))
        );
        for (bad, says) in [
            ("nonsense", "not JSON"),
            ("[]", "one JSON object"),
            (r#"{"network":"y","call":"any","fault":"slow"}"#, "`y` is not a network"),
            (r#"{"network":"*","call":"post","fault":"slow"}"#, "`post` is not a call"),
            (r#"{"network":"*","call":"any","fault":"fire"}"#, "`fire` is not a fault"),
            (r#"{"network":"*","call":"any","fault":"slow","times":0}"#, "1 or more"),
            (r#"{"network":"*","call":"any","fault":"slow","ms":"x"}"#, "whole number"),
            (r#"{"network":"*","call":"any","fault":"slow","count":1}"#, "`count` is not a field"),
            (r#"{"network":"*","call":"any","fault":"slow","account":"A"}"#, "not an account"),
            (r#"{"network":"telegram","call":"any","fault":"processing"}"#, "processes nothing"),
            (r#"{"network":"*","call":"publish","fault":"processing"}"#, "seen by polls"),
        ] {
            let error = read(bad).unwrap_err();
            assert!(error.contains(says), "{bad}: {error}");
        }
    }
}
