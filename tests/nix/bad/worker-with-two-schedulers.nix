{
  base = "worker";
  message = "starts a second scheduler here";
  change = {
    services.hlhft.worker.scheduler = "10.100.0.4";
  };
}
