//! The address of an incoming webhook, which is its whole credential: what is in it is never said,
//! and nothing is ever sent to another host than the network's own.

use crate::{Class, Context, Error, Spec};

/// The `count` parts of the path behind `mark`, each of letters, digits, `-` and `_`. Addresses are
/// made of them and of the context's base, so that where the network's address is overridden (the
/// sandbox) nothing leaves for the real one.
pub(crate) fn parts(
    cx: &Context<'_>,
    spec: &Spec,
    hosts: &[&str],
    mark: &str,
    count: usize,
) -> Result<Vec<String>, Error> {
    let held = cx.account.secret("webhookUrl")?;
    let wrong = || {
        let why = format!("This is not the address of a {}.", spec.name);
        Error::new(Class::Config, why).code("webhook_url")
    };
    let url = url::Url::parse(held.reveal().trim()).map_err(|_| wrong())?;
    let own = url.scheme() == "https"
        && url.host_str().is_some_and(|host| hosts.contains(&host))
        && url.port().is_none();
    if cx.base == spec.base_url && !own {
        let why = format!("The address is at another host than a {}'s.", spec.name);
        return Err(Error::new(Class::Config, why).code("webhook_host"));
    }
    let bare = url.query().is_none() && url.username().is_empty() && url.password().is_none();
    let path: Vec<&str> = url.path_segments().map(Iterator::collect).unwrap_or_default();
    let at = path.iter().position(|part| *part == mark).filter(|_| bare).ok_or_else(wrong)?;
    let parts = &path[at + 1..];
    let letters = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let safe = |part: &&str| !part.is_empty() && part.bytes().all(letters);
    if parts.len() != count || !parts.iter().all(safe) {
        return Err(wrong());
    }
    Ok(parts.iter().map(|part| (*part).to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::http::Guard;
    use crate::{Account, Forgetful, Http, Secret};

    const SPEC: Spec = Spec { base_url: "https://hooks.example", ..Spec::bare("x", &[]) };

    fn read(url: &str, base: &str) -> Result<Vec<String>, Error> {
        let account = Account::default();
        account.secrets.lock().unwrap().insert("webhookUrl".into(), Secret::new(url));
        let http = Http::new(Guard::default());
        let cx = Context::new(
            &http,
            &account,
            base,
            0,
            Duration::from_secs(1),
            Default::default(),
            &Forgetful,
        );
        parts(&cx, &SPEC, &["hooks.example", "old.example"], "hooks", 2)
    }

    #[test]
    fn only_the_networks_own_hosts_are_taken() {
        let own = SPEC.base_url;
        for good in [
            "https://hooks.example/hooks/1/a_B-2",
            " https://HOOKS.example/api/v10/hooks/1/a_B-2\n",
            "https://old.example:443/api/hooks/1/a_B-2",
        ] {
            assert_eq!(read(good, own).unwrap(), ["1", "a_B-2"], "{good}");
        }
        for elsewhere in [
            "https://evil.example/hooks/1/a_B-2",
            "https://hooks.example.evil.example/hooks/1/a_B-2",
            "https://hooks.example@evil.example/hooks/1/a_B-2",
            "https://hooks.example:8443/hooks/1/a_B-2",
            "http://hooks.example/hooks/1/a_B-2",
            "file:///hooks/1/a_B-2",
        ] {
            let error = read(elsewhere, own).unwrap_err();
            assert_eq!((error.class, error.code.as_deref()), (Class::Config, Some("webhook_host")));
            assert!(!error.sentence.contains("a_B-2"), "{error}");
        }
        let sandbox = "http://127.0.0.1:4000/x";
        assert!(read("http://127.0.0.1:4000/x/hooks/1/a", sandbox).is_ok());
        assert!(read("https://hooks.example/hooks/1/a", sandbox).is_ok());
    }

    #[test]
    fn nothing_that_would_change_the_address_gets_in() {
        for bad in [
            "a_B-2",
            "https://hooks.example/",
            "https://hooks.example/1/a",
            "https://hooks.example/hooks/1",
            "https://hooks.example/hooks/1/a/slack",
            "https://hooks.example/hooks/1/a/",
            "https://hooks.example/hooks/1/a?thread_id=5",
            "https://hooks.example/hooks/1/a%2Fb",
            "https://hooks.example/hooks/1/..",
            "https://me:pw@hooks.example/hooks/1/a",
            "data:hooks/1/a",
        ] {
            let error = read(bad, SPEC.base_url).unwrap_err();
            assert_eq!(error.class, Class::Config, "{bad}");
            assert!(error.sentence.ends_with('.') && !error.sentence.contains(bad), "{error}");
        }
    }
}
