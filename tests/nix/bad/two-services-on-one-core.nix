{
  base = "full";
  message = "share the core of exclusive CPU 2-3";
  change = {
    services.hlhft.host.cpus.siblings = [
      [
        2
        3
      ]
    ];
  };
}
