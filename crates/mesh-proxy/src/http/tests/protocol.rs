//! HTTP/1 and HTTP/2 on either side.

use super::harness::*;

#[test]
fn placeholder_compiles() {
    run(async {
        let server = Server::answering(OK).await;
        let proxy = Setup::to(&[server.address]).start().await;
        assert!(
            proxy
                .ask("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
                .await
                .ends_with("ok")
        );
    });
}
