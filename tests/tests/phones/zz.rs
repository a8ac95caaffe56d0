use crate::stage::{Stage, soon};
#[tokio::test]
async fn zz() {
    let stage = Stage::raise().await;
    let (alice, bob) = (stage.phone("alice", 700.0).await, stage.phone("bob", 900.0).await);
    let call = alice.call("sip:bob@example.com", &[("X-A","y")]).unwrap();
    let inc = bob.incoming(soon()).await.unwrap();
    eprintln!("{}", String::from_utf8_lossy(inc.invite().message.bytes()));
    let c2 = inc.accept(&[]).unwrap();
    let a = call.answered(soon()).await.unwrap();
    eprintln!("{}", String::from_utf8_lossy(a.message.bytes()));
    drop(c2);
}
