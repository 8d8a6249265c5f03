{
  base = "full";
  message = "smt is off and siblings are given";
  change = {
    services.hlhft.host.cpus = {
      smt = false;
      siblings = [
        [
          4
          5
        ]
      ];
    };
  };
}
