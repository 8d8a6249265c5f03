{
  base = "worker";
  message = "services.hlhft.worker.processes";
  option = [
    "services"
    "hlhft"
    "worker"
    "processes"
  ];
  change =
    { lib, ... }:
    {
      services.hlhft.worker.processes = lib.mkForce 65;
    };
}
