# One worker on a free port. It may connect to addresses of this machine, which workerd forbids by default.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "network", network = (allow = ["private"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);

const worker :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed "worker.js")],
  bindings = [
    (name = "TANDEM_URL", fromEnvironment = "TANDEM_URL"),
    (name = "TANDEM_KEY", fromEnvironment = "TANDEM_KEY"),
    (name = "SILENT_URL", fromEnvironment = "SILENT_URL"),
  ],
  compatibilityDate = "2026-11-01",
  compatibilityFlags = ["enable_request_signal"],
  globalOutbound = "network",
);
