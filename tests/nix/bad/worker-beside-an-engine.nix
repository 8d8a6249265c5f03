{
  base = "full";
  message = "use a research host, or set worker.besideEngine";
  change = {
    services.hlhft.worker = {
      enable = true;
      isScheduler = true;
    };
  };
}
