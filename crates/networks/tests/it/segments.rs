//! What follows a post, network by network: the next part of a thread, the first comment. Each is
//! found again after a lost answer, and never taken for another one with the same text.

use carillon_networks::bluesky::Bluesky;
use carillon_networks::facebook::Facebook;
use carillon_networks::instagram::Instagram;
use carillon_networks::mastodon::Mastodon;
use carillon_networks::{
    Class, Network, Prepared, Published, Remote, Rendition, ReplyTo, SendClass,
};
use carillon_sandbox::{Calls, Trouble};

use crate::support::{Desk, hosted, jpeg, only, post};

/// Every network with something that follows a post.
async fn desks() -> Vec<(Desk, &'static dyn Network)> {
    let token = [("accessToken", "sandbox-alice")];
    let bluesky = [("password", "sandbox-alice")];
    vec![
        (Desk::open(&Bluesky, &[("identifier", "alice.test")], &bluesky).await, &Bluesky),
        (Desk::open(&Mastodon, &[], &token).await, &Mastodon),
        (Desk::open(&Facebook, &[("pageId", "alice")], &token).await, &Facebook),
        (Desk::open(&Instagram, &[("igBusinessId", "alice")], &token).await, &Instagram),
    ]
}

/// Sends one delivery, from its preparation on.
async fn send(desk: &Desk, network: &dyn Network, out: &Rendition) -> Remote {
    // Another delivery begins without handles.
    desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
    for _ in 0..10 {
        if network.prepare(&desk.cx(), out).await.unwrap() == Prepared::Ready {
            break;
        }
    }
    match network.publish(&desk.cx(), out).await.unwrap() {
        Published::Accepted(remote) => remote,
        other => panic!("{other:?}"),
    }
}

/// The post at the head, and what its network lets follow it.
async fn head(desk: &Desk, network: &dyn Network, key: &str) -> (Remote, &'static str) {
    let picture = network.spec().placements[0].media.min > 0;
    let media = if picture { vec![hosted(jpeg(1080, 1080, 1))] } else { vec![] };
    let out = Rendition { key: key.to_owned(), ..post("feed", "The head", media) };
    let follower = network.spec().placements.iter().find(|p| !p.stands_alone()).unwrap();
    (send(desk, network, &out).await, follower.id)
}

fn after(parent: &Remote, placement: &str, text: &str, key: &str) -> Rendition {
    let reply_to = Some(ReplyTo { root: parent.clone(), parent: parent.clone() });
    Rendition { key: key.to_owned(), reply_to, ..post(placement, text, vec![]) }
}

#[tokio::test]
async fn what_follows_is_visible_where_it_belongs_and_can_be_deleted() {
    for (desk, network) in desks().await {
        let name = network.spec().id;
        let (first, placement) = head(&desk, network, "first").await;
        let (other, _) = head(&desk, network, "other").await;
        let mut made = Vec::new();
        for (i, parent) in [&first, &other].into_iter().enumerate() {
            // The same words under two posts are two things.
            let out = after(parent, placement, "And one more", &format!("next-{i}"));
            let remote = send(&desk, network, &out).await;
            let seen = desk.visible();
            let seen = seen.iter().find(|p| p.id == remote.id).unwrap();
            assert_eq!(
                (seen.text.as_str(), seen.reply_to.as_ref()),
                ("And one more", Some(&parent.id))
            );
            let found = network.look_up(&desk.cx(), &out, desk.window()).await.unwrap();
            assert_eq!(only(&found).id, remote.id, "{name}");
            made.push(remote);
        }
        let absent = after(&first, placement, "Something else", "never-sent");
        desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
        assert_eq!(
            network.look_up(&desk.cx(), &absent, desk.window()).await.unwrap(),
            [],
            "{name}"
        );
        for remote in &made {
            network.delete(&desk.cx(), &remote.id).await.unwrap();
            network.delete(&desk.cx(), &remote.id).await.unwrap();
        }
        assert_eq!(desk.visible().len(), 2, "{name}: the posts stay");
    }
}

#[tokio::test]
async fn a_lost_answer_is_found_and_a_key_sends_once() {
    for (desk, network) in desks().await {
        let name = network.spec().id;
        let (first, placement) = head(&desk, network, "first").await;
        let out = after(&first, placement, "And one more", "next");
        desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
        assert_eq!(network.prepare(&desk.cx(), &out).await.unwrap(), Prepared::Ready);
        desk.fault(Calls::Publish, Trouble::ResetAfterAccept);
        let error = network.publish(&desk.cx(), &out).await.unwrap_err();
        assert_eq!(error.applied, carillon_networks::Applied::Maybe, "{name}: {error:?}");
        let found = network.look_up(&desk.cx(), &out, desk.window()).await.unwrap();
        let live = desk.visible().into_iter().find(|p| p.reply_to.is_some()).unwrap();
        assert_eq!(only(&found).id, live.id, "{name}");
        let send_class = network.spec().placement(placement).unwrap().send;
        if matches!(send_class, SendClass::Keyed { .. }) {
            network.publish(&desk.cx(), &out).await.unwrap();
            assert_eq!(desk.visible().len(), 2, "{name}");
        }
    }
}

#[tokio::test]
async fn following_what_is_gone_is_refused() {
    for (desk, network) in desks().await {
        let (name, (first, placement)) = (network.spec().id, head(&desk, network, "first").await);
        network.delete(&desk.cx(), &first.id).await.unwrap();
        let out = after(&first, placement, "And one more", "next");
        desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
        let sent = match network.prepare(&desk.cx(), &out).await {
            Ok(_) => network.publish(&desk.cx(), &out).await.map(drop),
            Err(e) => Err(e),
        };
        let error = sent.unwrap_err();
        assert!(matches!(error.class, Class::Content | Class::Auth), "{name}: {error:?}");
        assert!(desk.visible().is_empty(), "{name}");
    }
}
