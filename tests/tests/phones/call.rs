//! A call of two phones of ours.

use std::time::Duration;

use cusax_load::Phone;
use cusax_load::phone::{Call, PhoneError, within};

use crate::stage::soon;

/// `caller` calls `callee` at `uri`; both ends of the call once both hear each other.
pub(crate) async fn connect(caller: &Phone, callee: &Phone, hears: [f64; 2]) -> (Call, Call) {
    let target = callee.config().address_of_record();
    let outgoing = caller.call(&target, &[]).unwrap();
    let incoming = callee.incoming(soon()).await.unwrap();
    incoming.ring(&[]);
    outgoing.provisional(180, soon()).await.unwrap();
    let incoming = incoming.accept(&[]).unwrap();
    outgoing.answered(soon()).await.unwrap();
    outgoing.until_heard(hears[0], soon()).await.unwrap();
    incoming.until_heard(hears[1], soon()).await.unwrap();
    (outgoing, incoming)
}

/// One holds and resumes; the other sees both offers.
pub(crate) async fn hold(holder: &Call, held: &Call) {
    let before = held.offers().len();
    // The ACK to the other side's last offer may still be on its way.
    let mut looks = tokio::time::interval(Duration::from_millis(5));
    let deadline = soon();
    while let Err(error) = holder.hold(deadline).await {
        assert!(matches!(error, PhoneError::Busy { .. }) && within(Duration::ZERO) < deadline, "{error}");
        looks.tick().await;
    }
    let offer = held.reoffered(before, soon()).await.unwrap();
    assert!(String::from_utf8_lossy(offer.message.body()).contains("a=sendonly"));
    holder.resume(soon()).await.unwrap();
    let offer = held.reoffered(before + 1, soon()).await.unwrap();
    assert!(String::from_utf8_lossy(offer.message.body()).contains("a=sendrecv"));
}

pub(crate) async fn hang_up(first: &Call, other: &Call) {
    first.hang_up(&[]);
    let ended = other.ended(soon()).await.unwrap();
    assert_eq!(ended.message.unwrap().method_text(), "BYE");
    first.ended(soon()).await.unwrap();
}
