//! What a person enters for a connection, held against the network's SPEC.
//!
//! SPEC says which field is secret, wherever it was sent: a token among the settings ends up
//! sealed, and is never shown. Everything wrong is named at once, by its field.

use std::collections::BTreeMap;
use std::sync::Mutex;

use carillon_networks::spec::Field;
use carillon_networks::{Account, Secret, Spec};

use crate::domain::refusal::{Refusal, Wrong};

/// Most characters of one value: the longest tokens have about 2,000.
const VALUE_MAX: usize = 8_000;
/// Most characters of a connection's name.
const NAME_MAX: usize = 200;

/// A form being filled in.
pub(super) struct Form {
    spec: &'static Spec,
    settings: BTreeMap<String, String>,
    secrets: BTreeMap<String, Secret>,
    wrong: Vec<Wrong>,
    /// Did a setting become another one?
    pub(super) new_settings: bool,
    /// Did a secret become another one?
    pub(super) new_secrets: bool,
}

impl Form {
    pub(super) fn empty(spec: &'static Spec) -> Self {
        let (settings, secrets) = Default::default();
        let (new_settings, new_secrets) = (false, false);
        Self { spec, settings, secrets, wrong: Vec::new(), new_settings, new_secrets }
    }

    /// As it was filled in before. What checks and sessions added is left behind: it belongs to
    /// the old answers.
    pub(super) fn of(spec: &'static Spec, account: &Account) -> Self {
        let held = account.secrets.lock().unwrap_or_else(|e| e.into_inner());
        let known = |key: &String| spec.fields.iter().any(|f| f.key == key);
        Self {
            settings: account.settings.clone().into_iter().filter(|(k, _)| known(k)).collect(),
            secrets: held.clone().into_iter().filter(|(k, _)| known(k)).collect(),
            ..Self::empty(spec)
        }
    }

    /// Takes values sent under `place` (`settings` or `credentials`). A key that is no field is
    /// wrong, unless it is sent back as it was shown (`shown`).
    pub(super) fn enter(
        &mut self,
        place: &str,
        values: &BTreeMap<String, String>,
        shown: &BTreeMap<String, String>,
    ) {
        for (key, value) in values {
            let at = format!("{place}.{key}");
            match self.spec.fields.iter().find(|f| f.key == key) {
                Some(field) => match clean(field, value) {
                    Ok(value) => self.set(field, value),
                    Err((code, message)) => self.wrong.push(Wrong::new(at, code, message)),
                },
                None if shown.get(key) == Some(value) => {}
                None => self.wrong.push(Wrong::new(at, "unknown_field", self.unknown(key))),
            }
        }
    }

    fn set(&mut self, field: &Field, value: String) {
        let key = field.key.to_owned();
        match (field.secret, value.is_empty()) {
            // An empty secret means "as it is": an empty token never overwrites one.
            (true, true) => {}
            (true, false) => {
                let value = Secret::new(value);
                self.new_secrets |= self.secrets.get(&key) != Some(&value);
                self.secrets.insert(key, value);
            }
            (false, true) => self.new_settings |= self.settings.remove(&key).is_some(),
            (false, false) => {
                self.new_settings |= self.settings.get(&key) != Some(&value);
                self.settings.insert(key, value);
            }
        }
    }

    fn unknown(&self, key: &str) -> String {
        let known: Vec<String> = self.spec.fields.iter().map(|f| format!("`{}`", f.key)).collect();
        format!("{} has no field `{key}`; it has {}.", self.spec.name, known.join(", "))
    }

    /// Notes something wrong beside the fields.
    pub(super) fn blame(&mut self, wrong: Wrong) {
        self.wrong.push(wrong);
    }

    /// What was filled in so far.
    pub(super) fn unjudged(self) -> Account {
        Account { settings: self.settings, secrets: Mutex::new(self.secrets) }
    }

    /// Is what was entered right, as far as it goes?
    pub(super) fn judge(self) -> Result<(), Refusal> {
        if self.wrong.is_empty() { Ok(()) } else { Err(Refusal::invalid(self.wrong)) }
    }

    /// The account, if everything required is there and nothing is wrong.
    pub(super) fn finish(mut self) -> Result<Account, Refusal> {
        let missing = missing(self.spec, &self.settings, &self.secrets);
        // A value that was refused is not missing too.
        let refused: Vec<String> = self.wrong.iter().map(|w| w.field.clone()).collect();
        for field in missing.into_iter().filter(|f| !refused.iter().any(|r| ends_in(r, f.key))) {
            self.wrong.push(lacking(self.spec, field));
        }
        if !self.wrong.is_empty() {
            return Err(Refusal::invalid(self.wrong));
        }
        Ok(Account { settings: self.settings, secrets: Mutex::new(self.secrets) })
    }
}

fn ends_in(path: &str, key: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, last)| last == key)
}

/// The required fields that an account does not fill.
pub(in crate::publishing) fn missing(
    spec: &Spec,
    settings: &BTreeMap<String, String>,
    secrets: &BTreeMap<String, Secret>,
) -> Vec<&'static Field> {
    let filled = |f: &Field| match f.secret {
        true => secrets.get(f.key).is_some_and(|v| !v.reveal().is_empty()),
        false => settings.get(f.key).is_some_and(|v| !v.trim().is_empty()),
    };
    spec.fields.iter().filter(|f| f.required && !filled(f)).collect()
}

fn lacking(spec: &Spec, field: &Field) -> Wrong {
    let message = format!("{} needs “{}”: {}", spec.name, field.label, field.help);
    Wrong::new(path(field), "missing_field", message)
}

/// Where a field is sent: `credentials.accessToken`.
pub(super) fn path(field: &Field) -> String {
    let place = if field.secret { "credentials" } else { "settings" };
    format!("{place}.{}", field.key)
}

/// A value without the blanks that copying adds.
fn clean(field: &Field, value: &str) -> Result<String, (&'static str, String)> {
    let value = value.trim();
    let label = field.label;
    if value.chars().count() > VALUE_MAX {
        return Err(("too_long", format!("“{label}” has more than {VALUE_MAX} characters.")));
    }
    if value.chars().any(char::is_control) {
        let message = format!("“{label}” holds a line break or another invisible character.");
        return Err(("invisible_character", message));
    }
    if field.key == "server" && !value.is_empty() {
        return server(value).map_err(|why| ("invalid_address", format!("“{label}” {why}.")));
    }
    Ok(value.to_owned())
}

/// The address of a server as it is kept: with its scheme, without a slash at its end.
pub(in crate::publishing) fn server(text: &str) -> Result<String, &'static str> {
    let with_scheme = match text.contains("://") {
        true => text.to_owned(),
        false => format!("https://{text}"),
    };
    let mut url: url::Url = with_scheme.parse().map_err(|_| "is no web address")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("is no web address: it starts with neither `https://` nor `http://`");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a user name or password: enter those in their own fields");
    }
    url.set_query(None);
    url.set_fragment(None);
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// A name as it is kept, or what is wrong with it.
pub(super) fn clean_name(name: &str) -> Result<String, Wrong> {
    let words = name.split(|c: char| c.is_whitespace() || c.is_control());
    let name = words.filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ");
    if name.is_empty() {
        return Err(Wrong::new("name", "missing_field", "A connection needs a name."));
    }
    if name.chars().count() > NAME_MAX {
        let message = format!("The name has more than {NAME_MAX} characters.");
        return Err(Wrong::new("name", "too_long", message));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(all: &[(&str, &str)]) -> BTreeMap<String, String> {
        all.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }
    fn spec(network: &str) -> &'static Spec {
        carillon_networks::find(network).expect(network).spec()
    }
    fn held(account: &Account) -> BTreeMap<String, Secret> {
        account.secrets.lock().unwrap().clone()
    }

    #[test]
    fn spec_decides_what_is_secret_wherever_it_was_sent() {
        let mut form = Form::empty(spec("mastodon"));
        form.enter("settings", &values(&[("accessToken", " t0ken ")]), &BTreeMap::new());
        form.enter("credentials", &values(&[("server", "mastodon.social/")]), &BTreeMap::new());
        let account = form.finish().expect("complete");
        assert_eq!(account.settings, values(&[("server", "https://mastodon.social")]));
        assert_eq!(held(&account)["accessToken"].reveal(), "t0ken");
    }

    #[test]
    fn everything_wrong_is_named_at_once() {
        let mut form = Form::empty(spec("wordpress"));
        let sent = values(&[("server", "ftp://blog.example"), ("user", "ada")]);
        form.enter("settings", &sent, &BTreeMap::new());
        let refusal = form.finish().err().expect("refused");
        let mut found: Vec<(&str, &str)> =
            refusal.problems.iter().map(|w| (w.field.as_str(), w.code.as_str())).collect();
        found.sort_unstable();
        assert_eq!(
            found,
            [
                ("credentials.applicationPassword", "missing_field"),
                ("settings.server", "invalid_address"),
                ("settings.user", "unknown_field"),
                ("settings.username", "missing_field"),
            ]
        );
    }

    #[test]
    fn an_edit_knows_what_it_changes() {
        let mut form = Form::empty(spec("bluesky"));
        form.enter("settings", &values(&[("identifier", "ada.example")]), &BTreeMap::new());
        form.enter("credentials", &values(&[("password", "abcd")]), &BTreeMap::new());
        let mut account = form.finish().expect("complete");
        account.settings.insert("did".into(), "did:plc:1".into());
        account.secrets.lock().unwrap().insert("accessJwt".into(), Secret::new("j"));

        let shown = account.settings.clone();
        let mut same = Form::of(spec("bluesky"), &account);
        same.enter("settings", &shown, &shown);
        same.enter("credentials", &values(&[("password", "")]), &shown);
        assert!(!same.new_settings && !same.new_secrets);
        let same = same.finish().expect("nothing wrong");
        assert_eq!(held(&same)["password"].reveal(), "abcd", "an empty secret overwrites nothing");
        assert!(!held(&same).contains_key("accessJwt"), "a session belongs to the old answers");
        assert!(!same.settings.contains_key("did"));

        let mut other = Form::of(spec("bluesky"), &account);
        other.enter("settings", &values(&[("did", "did:plc:2")]), &shown);
        other.enter("credentials", &values(&[("password", "efgh")]), &shown);
        assert!(other.new_secrets && !other.new_settings);
        assert_eq!(other.finish().err().expect("refused").problems[0].field, "settings.did");
    }

    #[test]
    fn addresses_of_servers_are_kept_in_one_form() {
        for (entered, kept) in [
            ("mastodon.social", "https://mastodon.social"),
            ("HTTPS://Mastodon.Social/", "https://mastodon.social"),
            ("http://blog.example:8080/site/?p=1#x", "http://blog.example:8080/site"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
        ] {
            assert_eq!(server(entered).as_deref(), Ok(kept), "{entered}");
        }
        for bad in ["ftp://a.example", "https://ada:pw@a.example", "https://", "http://[::1", "a b"]
        {
            assert!(server(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_line_break_never_reaches_a_header() {
        let mut form = Form::empty(spec("telegram"));
        let sent = values(&[("botToken", "1:a\r\nhost: x"), ("chatId", "@news")]);
        form.enter("credentials", &sent, &BTreeMap::new());
        let refusal = form.finish().err().expect("refused");
        assert_eq!(refusal.code, "invisible_character");
        assert_eq!(refusal.problems.len(), 1, "refused, not missing: {:?}", refusal.problems);
        assert!(!refusal.sentence.contains("1:a"), "no secret in a sentence");
    }
}
