{
  base = "worker";
  message = "worker.scheduler is not set";
  change =
    { lib, ... }:
    {
      services.hlhft.worker.isScheduler = lib.mkForce false;
    };
}
