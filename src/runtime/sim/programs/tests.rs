//! The servers and clients in their containers, as a person with `kubectl exec` meets them.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::super::testing::Node;
use crate::network::Resolve;
use crate::runtime::ContainerRuntime;
use crate::runtime::api::*;

/// Names of a cluster with one Service.
struct Names;

impl Resolve for Names {
    fn resolve(&self, name: &str) -> Vec<IpAddr> {
        if name == "web.default.svc.cluster.local" { vec![[10, 244, 0, 2].into()] } else { vec![] }
    }
}

/// A node with a server in the pod `web` and a client in another pod.
async fn server_and_client(image: &str, command: &[&str]) -> (Node, String, String) {
    server_with(image, command, &[]).await
}

/// The same, with files mounted over the server's.
async fn server_with(image: &str, command: &[&str], files: &[(&str, &str)]) -> (Node, String, String) {
    let node = Node::new().await;
    node.fabric.set_resolver(Arc::new(Names));
    let mut config = node.config(image, command).await;
    for (number, (path, text)) in files.iter().enumerate() {
        let (directory, name) = crate::bash::split(path);
        let content = VolumeContent {
            files: [(name.to_owned(), ((*text).to_owned().into(), 0o644))].into(),
            ..VolumeContent::default()
        };
        let volume = format!("v{number}");
        node.runtime.write_volume(&volume, content).await.unwrap();
        let source = VolumeSource { volume, sub_path: String::new() };
        config.mounts.push(Mount { container_path: directory.to_owned(), source, readonly: true });
    }
    let server = node.start_with(config).await;
    let other = node.pod("client").await;
    let config = node.config("nginx:alpine", &["sleep", "3600"]).await;
    let client = node.runtime.create_container(&other, config).await.unwrap();
    node.runtime.start_container(&client).await.unwrap();
    node.clock.sleep(Duration::from_millis(1)).await;
    (node, server, client)
}

#[tokio::test(start_paused = true)]
async fn nginx_serves_its_page_and_logs_it() {
    let (node, server, client) = server_and_client("nginx:1.25", &[]).await;
    let head = node.out(&server, &["curl", "-sI", "localhost"]).await;
    let expected = "HTTP/1.1 200 OK\r\nServer: nginx/1.25.5\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Type: text/html\r\nContent-Length: 615\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\nConnection: keep-alive\r\nETag: \"6955b900-267\"\r\nAccept-Ranges: bytes\r\n\r\n";
    assert_eq!(head, expected);
    assert_eq!(
        node.logs(&server).await,
        "127.0.0.1 - - [01/Jan/2026:00:00:00 +0000] \"HEAD / HTTP/1.1\" 200 0 \"-\" \"curl/7.88.1\"\n"
    );
    assert!(
        node.out(&client, &["curl", "-s", "http://web"]).await.contains("<title>Welcome to nginx!</title>")
    );
    let missing = node.out(&client, &["curl", "-s", "-w", "%{http_code}\n", "http://web/nope"]).await;
    assert!(missing.contains("<center>nginx/1.25.5</center>") && missing.ends_with("\n404\n"), "{missing}");
    let (code, _, err) = node.exec(&client, &["curl", "-sSf", "web/nope"]).await;
    assert_eq!((code, err.as_str()), (22, "curl: (22) The requested URL returned error: 404\n"));
    assert_eq!(node.exec(&server, &["nginx", "-v"]).await.2, "nginx version: nginx/1.25.5\n");
    assert_eq!(
        node.exec(&server, &["nginx", "-t"]).await.2,
        "nginx: the configuration file /etc/nginx/nginx.conf syntax is ok\nnginx: configuration file /etc/nginx/nginx.conf test is successful\n"
    );
    assert_eq!(node.exec(&server, &["nginx", "-s", "quit"]).await.0, 0);
    assert_eq!(node.ended(&server).await.exit_code, 0);
}

#[tokio::test(start_paused = true)]
async fn nginx_does_what_a_mounted_configuration_says() {
    let conf = "server { listen 8080; location / { return 200 \"from $hostname\\n\"; default_type text/plain; }\n location /old { return 301 /new; } location /up { proxy_pass http://127.0.0.1:9; } }";
    let (node, server, client) =
        server_with("nginx:1.27-alpine", &[], &[("/etc/nginx/conf.d/site.conf", conf)]).await;
    assert_eq!(node.out(&client, &["curl", "-s", "web:8080/x"]).await, "from web\n");
    assert_eq!(node.out(&client, &["wget", "-qO-", "http://web:8080"]).await, "from web\n");
    let moved =
        node.out(&client, &["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "web:8080/old"]).await;
    assert_eq!(moved, "301");
    let bad =
        node.out(&client, &["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "web:8080/up"]).await;
    assert_eq!(bad, "502");
    assert!(
        node.logs(&server)
            .await
            .contains("connect() failed (111: Connection refused) while connecting to upstream")
    );
}

#[tokio::test(start_paused = true)]
async fn a_wrong_configuration_ends_nginx_with_its_reason() {
    for (conf, why) in [
        ("server { lsten 80; }", "unknown directive \"lsten\" in /etc/nginx/conf.d/site.conf:1"),
        (
            "server { location / { proxy_pass http://backend; } }",
            "host not found in upstream \"backend\" in /etc/nginx/conf.d/site.conf:1",
        ),
    ] {
        let (node, server, _) = server_with("nginx", &[], &[("/etc/nginx/conf.d/site.conf", conf)]).await;
        assert_eq!(node.ended(&server).await.exit_code, 1);
        assert_eq!(
            node.logs(&server).await,
            format!("2026/01/01 00:00:00 [emerg] 1#1: {why}\nnginx: [emerg] {why}\n")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn two_servers_cannot_have_one_port() {
    let (node, _, _) = server_and_client("nginx", &[]).await;
    let second = node.start("nginx", &[]).await;
    assert_eq!(node.ended(&second).await.exit_code, 1);
    let log = node.logs(&second).await;
    assert!(
        log.contains("nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)\n")
            && log.ends_with("nginx: [emerg] still could not bind()\n"),
        "{log}"
    );
}

#[tokio::test(start_paused = true)]
async fn httpd_works() {
    let (node, server, client) = server_and_client("httpd", &[]).await;
    assert_eq!(
        node.out(&client, &["curl", "-s", "web"]).await,
        "<html><body><h1>It works!</h1></body></html>\n"
    );
    assert!(node.logs(&server).await.ends_with("\"GET / HTTP/1.1\" 200 45\n"));
    node.runtime.stop_container(&server, Duration::from_secs(9)).await.unwrap();
    assert_eq!(node.status(&server).await.exit_code, 0);
}

#[tokio::test(start_paused = true)]
async fn redis_keeps_what_it_is_given() {
    let (node, server, _) = server_and_client("redis:7", &[]).await;
    assert_eq!(node.out(&server, &["redis-cli", "ping"]).await, "PONG\n");
    assert_eq!(node.out(&server, &["redis-cli", "set", "tea", "green", "EX", "10"]).await, "OK\n");
    assert_eq!(node.out(&server, &["redis-cli", "get", "tea"]).await, "green\n");
    assert_eq!(node.out(&server, &["redis-cli", "incr", "cups"]).await, "1\n");
    node.clock.sleep(Duration::from_secs(10)).await;
    assert_eq!(node.out(&server, &["redis-cli", "get", "tea"]).await, "\n");
    assert!(node.logs(&server).await.ends_with("* Ready to accept connections tcp\n"));
}

#[tokio::test(start_paused = true)]
async fn names_are_found_as_resolv_conf_says() {
    let (node, _, client) = server_and_client("nginx", &[]).await;
    let found = node.out(&client, &["nslookup", "web"]).await;
    assert_eq!(
        found,
        "Server:\t\t10.96.0.10\nAddress:\t10.96.0.10:53\n\nName:\tweb.default.svc.cluster.local\nAddress: 10.244.0.2\n\n"
    );
    let (code, out, _) = node.exec(&client, &["nslookup", "nope"]).await;
    assert!(
        code == 1 && out.contains("** server can't find nope.default.svc.cluster.local: NXDOMAIN"),
        "{out}"
    );
    assert_eq!(
        node.exec(&client, &["wget", "-qO-", "http://nope"]).await,
        (1, String::new(), "wget: bad address 'nope'\n".to_owned())
    );
    assert_eq!(
        node.exec(&client, &["nc", "-zv", "web", "80"]).await,
        (0, String::new(), "web (10.244.0.2:80) open\n".to_owned())
    );
    assert_eq!(
        node.exec(&client, &["nc", "-zv", "web", "81"]).await,
        (1, String::new(), "nc: web (10.244.0.2:81): Connection refused\n".to_owned())
    );
    let ping = node.out(&client, &["ping", "-c", "2", "web"]).await;
    assert!(
        ping.starts_with("PING web (10.244.0.2): 56 data bytes\n64 bytes from 10.244.0.2: seq=0 ")
            && ping.contains("2 packets transmitted, 2 packets received, 0% packet loss"),
        "{ping}"
    );
}

#[tokio::test(start_paused = true)]
async fn curl_shows_its_meter_and_its_talk() {
    let (node, _, client) =
        server_and_client("registry.k8s.io/e2e-test-images/agnhost:2.63.0", &["/agnhost", "netexec"]).await;
    let (code, out, err) = node.exec(&client, &["curl", "http://web:8080/echo?msg=tea"]).await;
    assert_eq!((code, out.as_str()), (0, "tea"));
    let lines: Vec<&str> = err.split('\n').collect();
    assert_eq!(lines[0], "  % Total    % Received % Xferd  Average Speed   Time    Time     Time  Current");
    assert_eq!(
        lines[2],
        "\r  0     0    0     0    0     0      0      0 --:--:-- --:--:-- --:--:--     0\r100     3  100     3    0     0    750      0 --:--:-- --:--:-- --:--:--   750"
    );
    let (_, _, talk) = node.exec(&client, &["curl", "-sv", "http://web:8080/hostname"]).await;
    for line in [
        "*   Trying 10.244.0.2:8080...",
        "* Connected to web (10.244.0.2) port 8080 (#0)",
        "> GET /hostname HTTP/1.1",
        "> Host: web:8080",
        "> User-Agent: curl/7.88.1",
        "< HTTP/1.1 200 OK",
        "* Connection #0 to host web left intact",
    ] {
        assert!(talk.lines().any(|said| said == line), "{line} in {talk}");
    }
    let late = node.exec(&client, &["curl", "-sS", "--max-time", "2", "web:8080/exit?wait=30s"]).await;
    assert_eq!(
        (late.0, late.2.as_str()),
        (28, "curl: (28) Operation timed out after 2001 milliseconds with 0 bytes received\n")
    );
}

#[tokio::test(start_paused = true)]
async fn archives_go_in_and_come_out_as_kubectl_cp_wants() {
    let node = Node::new().await;
    let id = node.start("registry.k8s.io/e2e-test-images/agnhost:2.63.0", &["sleep", "3600"]).await;
    let mut archive = tar::Builder::new(vec![]);
    let mut header = tar::Header::new_gnu();
    header.set_size(5);
    header.set_mode(0o644);
    archive.append_data(&mut header, "note.txt", &b"milk\n"[..]).unwrap();
    let bytes = archive.into_inner().unwrap();
    let streams = Streams {
        stdin: Some(Box::new(std::io::Cursor::new(bytes))),
        stdout: None,
        stderr: None,
        tty: false,
        resize: None,
    };
    let command = ["tar", "-xmf", "-", "-C", "/tmp"].map(str::to_owned);
    assert_eq!(node.runtime.exec(&id, &command, streams).await.unwrap(), 0);
    assert_eq!(node.out(&id, &["cat", "/tmp/note.txt"]).await, "milk\n");
    let back = ["tar", "cf", "-", "/tmp/note.txt"].map(str::to_owned);
    let back = node.runtime.exec_sync(&id, &back, Duration::from_secs(5)).await.unwrap();
    assert_eq!(&back.stderr[..], b"tar: removing leading '/' from member names\n");
    let mut archive = tar::Archive::new(&back.stdout[..]);
    let names: Vec<_> =
        archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().into_owned()).collect();
    assert_eq!(names, [std::path::Path::new("tmp/note.txt")]);
}

#[tokio::test(start_paused = true)]
async fn what_an_image_does_not_have_is_not_found() {
    let node = Node::new().await;
    let id = node.start("busybox", &["sleep", "3600"]).await;
    assert_eq!(
        node.exec(&id, &["sh", "-c", "curl x; jq ."]).await,
        (127, String::new(), "sh: curl: not found\nsh: jq: not found\n".to_owned())
    );
    assert_eq!(node.exec(&id, &["sh", "-c", "echo $0 $1", "zero", "one"]).await.1, "zero one\n");
    let oom = node.start("busybox", &["tail", "/dev/zero"]).await;
    let status = node.ended(&oom).await;
    assert_eq!((status.exit_code, status.reason.as_str()), (137, "OOMKilled"));
}

#[tokio::test(start_paused = true)]
async fn hello_world_says_so_and_ends() {
    let node = Node::new().await;
    let id = node.start("hello-world", &[]).await;
    assert_eq!(node.ended(&id).await.reason, "Completed");
    assert!(node.logs(&id).await.contains("Hello from a container!"));
}
