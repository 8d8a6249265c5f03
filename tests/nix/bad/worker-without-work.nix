{
  base = "worker";
  message = "neither schedules nor works";
  change =
    { lib, ... }:
    {
      services.hlhft.worker = {
        isScheduler = lib.mkForce false;
        scheduler = "10.100.0.4";
        processes = lib.mkForce 0;
      };
    };
}
