import time
from tests.serving.running import *
def test_a(settings):
    for _ in range(3):
        t=time.time()
        with InProcess(settings) as b:
            print('open', time.time()-t); t=time.time()
            print(b.decide(operation(1)))
            for n in range(2,50): b.decide(operation(n))
            print('50', time.time()-t); t=time.time()
            print(b.trace()[:2]); print('trace', time.time()-t)
        import shutil; shutil.rmtree(settings.home)
def test_b(models, tmp_path):
    for i in range(4):
        t=time.time()
        with Server(tmp_path, models, key='x') as s:
            print('server', time.time()-t)
            s.kill()
