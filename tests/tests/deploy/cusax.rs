//! The configuration that puts cusax between the servers of `deploy/`.

use std::net::{TcpListener, UdpSocket};
use std::time::Duration;

use cusax_tests::interop::{CUSAX, PROSODY, available};
use cusax_tests::ports::Port;
use cusax_tests::process::{Process, Ready};
use cusax_tests::scratch::Scratch;
use cusax_tests::server::{Cusax, Prosody, Settings};

fn install(scratch: &Scratch, server: &Port, component: &Port, clients: &Port) -> Cusax {
    let settings = Settings::claim(server.address(), component.address(), clients.address()).unwrap();
    Cusax::install(scratch, settings).unwrap()
}

#[test]
fn cusax_finds_nothing_wrong_with_its_configuration() {
    if !available("cusax check", &[CUSAX]) {
        return;
    }
    let scratch = Scratch::new("deploy").unwrap();
    let ports = [(); 3].map(|()| Port::free().unwrap());
    let cusax = install(&scratch, &ports[0], &ports[1], &ports[2]);
    let output = cusax.command(&["check", "config"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn cusax_says_which_of_its_ports_is_taken_and_ends() {
    if !available("cusax serve", &[CUSAX]) {
        return;
    }
    let scratch = Scratch::new("deploy").unwrap();
    let ports = [(); 3].map(|()| Port::free().unwrap());
    let mut cusax = install(&scratch, &ports[0], &ports[1], &ports[2]);
    cusax.add_account("alice", "correct horse", &[]).unwrap();
    cusax.hand_over().unwrap();
    let settings = cusax.settings();
    let (access, http) = (settings.access.address(), settings.http.address());
    let udp = UdpSocket::bind(access).unwrap();
    let mut process = Process::start("cusax", cusax.command(&["serve"]), cusax.dir().to_owned()).unwrap();
    let error = process.ready(Ready::Http(http, "/livez"), Duration::from_secs(30)).await.unwrap_err().to_string();
    assert!(error.starts_with("cusax ended (exit status: 1)"), "{error}");
    assert!(error.contains(&format!("SIP on {access}")) && error.contains("in use"), "{error}");
    // Who starts it by `serve` is told before.
    let error = cusax.serve().await.unwrap_err();
    assert!(format!("{error:#}").contains(&format!("port udp:{access} is taken by another program")), "{error:#}");
    drop(udp);
    let tcp = TcpListener::bind(http).unwrap();
    let mut process = Process::start("cusax", cusax.command(&["serve"]), cusax.dir().to_owned()).unwrap();
    let error = process.ready(Ready::Udp(http), Duration::from_secs(30)).await.unwrap_err().to_string();
    assert!(error.contains(&http.to_string()) && error.contains("in use"), "{error}");
    drop(tcp);
}

#[tokio::test]
async fn cusax_is_ready_once_the_xmpp_server_has_taken_its_component() {
    if !available("cusax serve", &[CUSAX, PROSODY]) {
        return;
    }
    let scratch = Scratch::new("deploy").unwrap();
    let [server, component, clients] = [(); 3].map(|()| Port::free().unwrap());
    let mut cusax = install(&scratch, &server, &component, &clients);
    cusax.add_account("alice", "correct horse", &["--number", "+14045551001"]).unwrap();
    let prosody = Prosody::start(&scratch, clients, component, &cusax.directory(), &cusax.secret_file()).await.unwrap();
    let process = cusax.serve().await.unwrap();
    assert!(process.is_running());
    assert!(prosody.process().log().contains("External component successfully authenticated"));
}
