{
  base = "full";
  message = "two threads of one core are in different classes";
  change = {
    services.hlhft.host.cpus.siblings = [
      [
        1
        9
      ]
    ];
  };
}
